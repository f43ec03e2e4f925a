"""Who waits for whom: the cycles among dependencies."""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

MOST = 50


def cycles(depends_on: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """One cycle of every knot of names that depend on each other, its smallest name first; sorted.

    Names that nobody declares are left out: they depend on nothing. At most MOST are told; the others come to light
    when these are gone.
    """
    graph = {name: sorted(set(needed) & depends_on.keys()) for name, needed in sorted(depends_on.items())}
    found: list[tuple[str, ...]] = []
    while len(found) < MOST:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            names = list(reversed(error.args[1][:-1]))
            start = names.index(min(names))
            found.append(tuple(names[start:] + names[:start]))
            cut = set(names)  # what hangs on this knot is told when this one is untied
            graph = {name: [n for n in needed if n not in cut] for name, needed in graph.items() if name not in cut}
        else:
            break
    return sorted(found)
