#!/usr/bin/env python3
"""Computes the costs of a merged view with NumPy and with SciPy, from the files of `speed federation`:

    benches/merge.py target/side_by_side/federation

Prints the milliseconds that NumPy takes to fill all cells from the ways between borders, on two
threads; the microseconds that SciPy takes to search for one row of them; and the milliseconds that
SciPy takes to search from every interconnect to every other. SciPy uses one thread. Each figure is the
fastest of several turns. Stops if the costs of either differ from the rows that `speed federation`
wrote.
"""

import json
import pathlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

THREADS = 2
TURNS, SEARCHES = 10, 3
ACCURACY = 1e-6
# The relationships by which a domain carries traffic between the link and any other.
OPEN = ("customer", "open")


class Federation:
    """Domains and their interconnects; a border is a domain and a PID, both by index."""

    def __init__(self, directory):
        stated = json.loads((directory / "federation.json").read_text())
        domains = {label: place for place, label in enumerate(stated["domains"])}
        pids = {name: place for place, name in enumerate(stated["pids"])}
        self.every = stated["every"]
        self.max_domains = stated["max-domains"]
        self.pids = len(pids)
        self.costs = doubles(directory, "costs", len(domains), self.pids, self.pids)
        self.links = []
        for label, interconnects in stated["interconnects"].items():
            for name, here in interconnects.items():
                there = stated["interconnects"][here["peer-domain"]][name]
                self.links.append(
                    {
                        "from": (domains[label], pids[here["border"]]),
                        "to": (domains[here["peer-domain"]], pids[here["peer-border"]]),
                        "cost": here["costs"]["routingcost"],
                        "open_from": here["relationship"] in OPEN,
                        "open_to": there["relationship"] in OPEN,
                    }
                )
        ends = {link["from"] for link in self.links}
        self.borders = [sorted(pid for at, pid in ends if at == domain) for domain in domains.values()]
        self.ways = doubles(directory, "ways", len(ends), len(ends))
        # The merged view's costs from a sample of the PIDs.
        size = len(domains) * self.pids
        self.sources = numpy.arange(0, size, self.every)
        self.cells = doubles(directory, "cells", len(self.sources), size)


def doubles(directory, name, *shape):
    """Read an array from a file."""
    return numpy.fromfile(directory / f"{name}.f64", dtype="<f8").reshape(shape)


def fastest(turns, work):
    """Return the seconds that work takes at its fastest."""
    taken = []
    for _ in range(turns):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def same(what, cells, ours):
    """Stop unless both have the same costs; a missing cost is infinite here, and NaN in ours."""
    ours = numpy.where(numpy.isnan(ours), numpy.inf, ours)
    differing = ~numpy.isclose(cells, ours, rtol=0, atol=ACCURACY)
    if differing.any():
        sys.exit(f"{what} has other costs in {differing.sum()} of {differing.size} cells")


def fastest_fill(federation):
    """Return the seconds to fill all cells from the ways between borders and the costs to and from them.

    Each source domain is a piece of work; NumPy lets another thread work while it adds and
    compares. A block of one domain by another stays in the cache.
    """
    pids, borders, ways = federation.pids, federation.borders, federation.ways
    domains = range(len(borders))
    first = numpy.cumsum([0] + [len(pids) for pids in borders])
    out = [costs[:, pids].copy() for costs, pids in zip(federation.costs, borders)]
    into = [costs[pids].copy() for costs, pids in zip(federation.costs, borders)]
    cells = numpy.empty((len(borders) * pids,) * 2)

    def fill(source):
        rows = cells[source * pids :][:pids]
        starts = numpy.full((pids, len(ways)), numpy.inf)
        onward = numpy.empty_like(starts)
        for leaving, way in enumerate(ways[first[source] : first[source + 1]]):
            numpy.add(out[source][:, leaving, None], way, out=onward)
            numpy.minimum(starts, onward, out=starts)
        over = numpy.empty((pids, pids))
        for target in domains:
            block = rows[:, target * pids :][:, :pids]
            if target == source:
                block[:] = federation.costs[source]
                continue
            block[:] = numpy.inf
            for entering, access in zip(range(first[target], first[target + 1]), into[target]):
                numpy.add(starts[:, entering, None], access, out=over)
                numpy.minimum(block, over, out=block)

    with ThreadPoolExecutor(THREADS) as threads:
        taken = fastest(TURNS, lambda: list(threads.map(fill, domains)))
    same("NumPy", cells[federation.sources], federation.cells)
    return taken


class Paths:
    """The federation as a graph, from the links crossed first to the PIDs where paths end.

    The first nodes stand for having crossed each link, so that what follows can depend on the
    relationship by which a domain was entered; then come the PIDs where paths start, and those
    where they end.
    """

    def __init__(self, federation):
        pids, links, costs = federation.pids, federation.links, federation.costs
        self.federation = federation
        self.first_source = len(links)
        self.first_target = self.first_source + len(federation.sources)
        leaving = [[] for _ in costs]
        for node, link in enumerate(links):
            leaving[link["from"][0]].append((node, link))
        edges = []
        for node, came in enumerate(links):
            domain, border = came["to"]
            for onward, goes in leaving[domain]:
                carried = came["open_to"] or goes["open_from"]
                if carried and goes["to"][0] != came["from"][0]:
                    edges.append((node, onward, costs[domain, border, goes["from"][1]] + goes["cost"]))
            first = self.first_target + domain * pids
            edges.extend((node, first + pid, costs[domain, border, pid]) for pid in range(pids))
        for node, source in enumerate(federation.sources, self.first_source):
            domain, pid = divmod(int(source), pids)
            for onward, goes in leaving[domain]:
                edges.append((node, onward, costs[domain, pid, goes["from"][1]] + goes["cost"]))
        starts, ends, lengths = zip(*edges)
        nodes = self.first_target + len(costs) * pids
        self.graph = csr_array((lengths, (starts, ends)), shape=(nodes, nodes))
        self.between = self.graph[: self.first_source][:, : self.first_source]

    def search(self, **more):
        """Search from each source to all that it reaches."""
        return dijkstra(self.graph, indices=range(self.first_source, self.first_target), **more)

    def search_links(self):
        """Search from each link to each other."""
        return dijkstra(self.between)

    def domains(self, source, target, before):
        """Return the domains that a path passes, given the predecessor of each node."""
        node = before[self.first_target + target]
        passed = []
        while node < self.first_source:
            passed.append(self.federation.links[node]["to"][0])
            node = before[node]
        return [*passed, source // self.federation.pids]

    def check(self):
        """Stop unless the searched costs equal ours.

        The search cannot exclude paths that pass a domain twice or too many domains; such a path
        may cost less.
        """
        federation = self.federation
        cells, before = self.search(return_predecessors=True)
        cells = cells[:, self.first_target :]
        excepted = 0
        for row, source in enumerate(federation.sources):
            # Costs inside a domain are those that it states; they are not searched.
            first = source // federation.pids * federation.pids
            own = slice(first, first + federation.pids)
            cells[row, own] = federation.cells[row, own]
            for target in numpy.flatnonzero(cells[row] < federation.cells[row] - ACCURACY):
                passed = self.domains(source, target, before[row])
                if len(passed) > federation.max_domains or len(set(passed)) < len(passed):
                    cells[row, target] = federation.cells[row, target]
                    excepted += 1
        same("SciPy", cells, federation.cells)
        print(f"SciPy: {excepted} of {cells.size} cells by paths that must not be", file=sys.stderr)


def main(directory):
    federation = Federation(directory)
    filled = fastest_fill(federation)
    paths = Paths(federation)
    paths.check()
    searched = fastest(SEARCHES, paths.search) / len(federation.sources)
    between = fastest(TURNS, paths.search_links)
    print(f"{filled * 1e3:.6f} {searched * 1e6:.6f} {between * 1e3:.6f}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
