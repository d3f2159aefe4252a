#!/usr/bin/env python3
"""Measures what a graph of peers costs a node: one peer relays 401 domains with 40,000 links.

    cargo build --release && benches/graph.py target/release/altofed [domains links borders]

Prints how long our own answers and writes take meanwhile; how long a start takes until /livez, until
our own map is served and until /readyz; and the CPU time that changes take until the merged view has
them.
Needs Python's `cryptography`.
"""

import base64
import hashlib
import http.server
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PROGRAM = sys.argv[1]
DOMAINS, LINKS, BORDERS = (int(a) for a in (*sys.argv[2:5], 401, 40_000, 4)[:3])
PIDS = 2 * max(BORDERS, 2)
TOKEN = "graph-operator-0123456789"


def label(number):
    return f"n{number:03}"


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Relay:
    """The first domain, which passes on all others."""

    def __init__(self):
        self.keys = [Ed25519PrivateKey.generate() for _ in range(DOMAINS)]
        self.answers, self.entries = {}, [None] * DOMAINS
        self.links = [{} for _ in range(DOMAINS)]
        dice = random.Random(7)
        for link in range(LINKS):
            a = link % DOMAINS
            b = (a + 1 + dice.randrange(DOMAINS - 1)) % DOMAINS
            e, f = dice.randrange(BORDERS), dice.randrange(BORDERS)
            for here, there, border, peer_border in [(a, b, e, f), (b, a, f, e)]:
                self.links[here][f"x{link:06}"] = {
                    "border": f"p{border:03}",
                    "peer-domain": label(there),
                    "peer-border": f"p{peer_border:03}",
                    "relationship": "open",
                    "costs": {"routingcost": 1 + dice.randrange(100), "hopcount": 1},
                }
        relay = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                kind, body = relay.answers.get(self.path, (None, b""))
                self.send_response(200 if kind else 404)
                self.send_header("content-type", kind or "text/plain")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.answer("/.well-known/alto-federation", "application/json", compact({
            "domain": label(0), "directory": f"{self.url}/directory",
            "s2s": "/s2s/v1/", "keys": self.key_documents(0),
        }))
        for number in range(DOMAINS):
            self.says(number, 1)
        self.publish()

    def answer(self, path, kind, body):
        self.answers[path] = (kind, body)

    def kid_and_key(self, number):
        raw = self.keys[number].public_key().public_bytes_raw()
        return raw

    def key_documents(self, number):
        raw = self.kid_and_key(number)
        jwk = compact({"crv": "Ed25519", "kty": "OKP", "x": encoded(raw)})
        return [{"kid": encoded(hashlib.sha256(jwk).digest()), "ed25519": encoded(raw)}]

    def says(self, number, cost):
        """Changes a cost that a domain states."""
        domain, pids = label(number), [f"p{pid:03}" for pid in range(PIDS)]
        base = (16 << 24) + number * PIDS * 256
        nets = [".".join(str(base + pid * 256 >> s & 255) for s in (24, 16, 8, 0)) for pid in range(PIDS)]
        network = compact({p: {"ipv4": [f"{net}/24"]} for p, net in zip(pids, nets)})
        vtag = {"resource-id": f"{domain}:networkmap", "tag": hashlib.sha256(network).hexdigest()[:32]}
        network = b'{"meta":{"vtag":' + compact(vtag) + b'},"network-map":' + network + b"}"
        documents = [("networkmap", "networkmap", vtag["tag"], network)]
        for metric, scale in [("hopcount", 0), ("routingcost", 1)]:
            rows = {a: {b: 1 + scale * (i * 7 + j * 3) % 20 for j, b in enumerate(pids) if a != b}
                    for i, a in enumerate(pids)}
            if metric == "routingcost":
                rows[pids[0]][pids[-1]] = cost
            body = compact({"cost-map": rows, "meta": {
                "cost-type": {"cost-metric": metric, "cost-mode": "numerical"},
                "dependent-vtags": [vtag]}})
            documents.append((f"costmap-{metric}", "costmap", hashlib.sha256(body).hexdigest()[:32], body))
        now = datetime.now(timezone.utc)
        resources = []
        for path, kind, tag, body in documents:
            digest = hashlib.sha256(body).hexdigest()
            media_type = f"application/alto-{kind}+json"
            self.answer(f"/s2s/v1/blobs/{digest}", media_type, body)
            resources.append({"resource-id": f"{domain}:{path}", "media-type": media_type,
                              "tag": tag, "length": len(body), "sha-256": digest})
        serial = int(now.timestamp() * 1000)
        payload = {
            "domain": domain, "serial": serial, "issued": now.isoformat().replace("+00:00", "Z"),
            "next-update": (now + timedelta(hours=6)).isoformat().replace("+00:00", "Z"),
            "scope": "any", "keys": self.key_documents(number),
            "interconnects": self.links[number], "resources": resources,
        }
        header = {"alg": "EdDSA", "kid": self.key_documents(number)[0]["kid"], "typ": "altofed-manifest"}
        signed = f"{encoded(compact(header))}.{encoded(compact(payload))}"
        signature = encoded(self.keys[number].sign(signed.encode()))
        path = [domain] if number == 0 else [domain, label(0)]
        self.entries[number] = {"domain": domain, "serial": serial, "path": path,
                                "manifest": f"{signed}.{signature}"}

    def publish(self):
        self.answer("/s2s/v1/manifests", "application/json", compact(self.entries))


class Node:
    def __init__(self, directory, relay):
        self.config = pathlib.Path(directory) / "peers.toml"
        self.config.write_text(f"""
[node]
domain = "self"
listen = "127.0.0.1:0"
data_dir = "{directory}/store"
[limits]
requests_per_second = 0
[[token]]
name = "operator"
secret = "{TOKEN}"
scopes = ["ingest", "operate"]
[[peer]]
domain = "{label(0)}"
directory = "{relay.url}/directory"
allow_private_addresses = true
import.domains = ["*"]
refresh = {{ interval = "1s", stale_after = "2h" }}
""")
        self.start()

    def start(self):
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--json", "--config", self.config],
            stdout=subprocess.PIPE, env={**os.environ, "RUST_LOG": os.environ.get("RUST_LOG", "error")})
        self.url = json.loads(self.process.stdout.readline())["listening"]

    def since_start(self):
        return time.monotonic() - self.began

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def ask(self, path, method="GET", document=None, **headers):
        request = urllib.request.Request(self.url + path, method=method)
        request.add_header("authorization", f"Bearer {TOKEN}")
        for name, value in headers.items():
            request.add_header(name, value)
        if document is not None:
            request.add_header("content-type", "application/json")
            request.data = compact(document)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name):
        lines = self.ask("/metrics")[1].splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name + " "))

    def cpu(self):
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1000 for line in status if line.startswith("VmRSS"))

    def until(self, reached):
        while not reached():
            time.sleep(0.02)

    def until_merged(self):
        self.until(lambda: self.metric("altofed_publish_merged_lag_seconds") == 0)


def timed(work):
    begun = time.monotonic()
    got = work()
    return time.monotonic() - begun, got


def say(what, figure, unit="s"):
    print(f"{what}\t{figure:.3f} {unit}", flush=True)


def network(size):
    pids = {f"p{pid:03}": {"ipv4": [f"192.0.{pid}.0/24"]} for pid in range(size)}
    return {"network-map": pids}


def costs(cost):
    pids = [f"p{pid:03}" for pid in range(4)]
    return {"cost-map": {a: {b: cost for b in pids} for a in pids}}


def step(node, what, change):
    """Measures a change of ours: its time, that of our own map after it, and the CPU time until it is joined."""
    cpu = node.cpu()
    put, (status, _) = timed(change)
    assert status in (200, 201), status
    for path in ["networkmap", "costmap-routingcost"]:
        got, (status, _) = timed(lambda: node.ask(f"/views/self/{path}"))
        assert status == 200, status
        say(f"{what}: first GET of our own {path}", got)
    say(f"{what}: PUT", put)
    node.until_merged()
    say(f"{what}: CPU until joined", node.cpu() - cpu)
    say(f"{what}: the merge alone", node.metric("altofed_publish_merge_duration_seconds"))


def main():
    print(f"{DOMAINS} domains, {LINKS} links, {BORDERS} borders each")
    relay = Relay()
    with tempfile.TemporaryDirectory() as directory:
        node = Node(directory, relay)
        node.ask("/n2s/v1/network-map", "PUT", network(4))
        node.ask("/n2s/v1/cost-maps/routingcost", "PUT", costs(1))
        node.until(lambda: node.ask(f"/views/{label(DOMAINS - 1)}/networkmap")[0] == 200)
        node.until_merged()
        say("the first time all is joined", node.since_start())
        say("CPU until then", node.cpu())
        say("resident", node.resident(), "MB")
        say("the merge alone", node.metric("altofed_publish_merge_duration_seconds"))
        step(node, "a cost of ours", lambda: node.ask("/n2s/v1/cost-maps/routingcost", "PUT", costs(2)))
        step(node, "a PID of ours", lambda: node.ask("/n2s/v1/network-map", "PUT", network(5)))
        for what, number in [("a cost of a peer's", 7), ("a link of a peer's", 8)]:
            if number == 8:
                next(iter(relay.links[8].values()))["costs"]["routingcost"] = 55
            relay.says(number, 77)
            before = node.metric("altofed_compile_merges_total") or node.metric("altofed_publish_merge_duration_seconds")
            cpu = node.cpu()
            relay.publish()
            node.until(lambda: node.metric("altofed_publish_merge_duration_seconds") != before)
            node.until_merged()
            say(f"{what}: CPU until joined", node.cpu() - cpu)
            say(f"{what}: the merge alone", node.metric("altofed_publish_merge_duration_seconds"))
        node.stop()
        node.start()
        node.until(lambda: node.ask("/livez")[0] == 200)
        say("restart: /livez", node.since_start())
        node.until(lambda: node.ask("/views/self/networkmap")[0] == 200)
        say("restart: our own map", node.since_start())
        put, (status, _) = timed(lambda: node.ask("/n2s/v1/cost-maps/routingcost", "PUT", costs(3)))
        say(f"restart: PUT of ours ({status})", put)
        node.until(lambda: node.ask("/readyz")[0] == 200)
        say("restart: /readyz", node.since_start())
        say("restart: resident", node.resident(), "MB")
        node.stop()


main()
