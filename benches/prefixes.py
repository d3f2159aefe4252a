#!/usr/bin/env python3
"""Writes a network map of a million real prefixes, one PID for each country, with costs between
the countries and requests for endpoint costs, from a dump of libloc's database:

    location dump | benches/prefixes.py target/side_by_side

`network-map.json` and `cost-map.json` are documents of the network-to-server API;
`requests.jsonl` has one request to the endpoint cost service per line, with 10 sources and 100
destinations, each an address in a prefix drawn at random. The files are the same in every run.
"""

import ipaddress
import json
import pathlib
import random
import sys

REQUESTS, SOURCES, DESTINATIONS = 1000, 10, 100
# The country of prefixes for which the database has none.
NOWHERE = "ZZ"


def networks(lines):
    """Yield each prefix of the dump with its country."""
    prefix, country = None, NOWHERE
    for line in lines:
        key, _, value = line.partition(":")
        if key == "net":
            prefix, country = value.strip(), NOWHERE
        elif key == "country" and prefix:
            country = value.strip()
        elif not line.strip() and prefix:
            yield prefix, country
            prefix = None
    if prefix:
        yield prefix, country


def address(prefix):
    """Return an address in a prefix, in the form of ALTO."""
    network = ipaddress.ip_network(prefix)
    chosen = network.network_address + random.getrandbits(network.max_prefixlen - network.prefixlen)
    return f"ipv{network.version}:{chosen}"


def write(path, document):
    path.write_text(json.dumps(document, separators=(",", ":")))


def main(directory):
    directory.mkdir(parents=True, exist_ok=True)
    random.seed(7285)
    pids = {}
    prefixes = []
    for prefix, country in networks(sys.stdin):
        family = "ipv6" if ":" in prefix else "ipv4"
        pids.setdefault(country, {}).setdefault(family, []).append(prefix)
        prefixes.append(prefix)
    costs = {src: {dst: random.randrange(1, 1000) for dst in pids} for src in pids}
    write(directory / "network-map.json", {"network-map": pids})
    write(directory / "cost-map.json", {"cost-map": costs})
    with (directory / "requests.jsonl").open("w") as requests:
        for _ in range(REQUESTS):
            drawn = [address(prefix) for prefix in random.sample(prefixes, SOURCES + DESTINATIONS)]
            request = {
                "cost-type": {"cost-mode": "numerical", "cost-metric": "routingcost"},
                "endpoints": {"srcs": drawn[:SOURCES], "dsts": drawn[SOURCES:]},
            }
            print(json.dumps(request, separators=(",", ":")), file=requests)
    counts = [sum(len(pid.get(family, ())) for pid in pids.values()) for family in ("ipv4", "ipv6")]
    print(f"{len(pids)} PIDs, {counts[0]} IPv4 and {counts[1]} IPv6 prefixes", file=sys.stderr)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
