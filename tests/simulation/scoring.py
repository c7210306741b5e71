"""Who is in one incident, against who is of one fault; ours and naive peers, by the same words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from aiopsd.correlation.grouping import Grouping, GroupingLimits
from aiopsd.model import Anomaly, Incident
from tests.simulation.scenarios import Run
from tests.simulation.telling import Told

Groups = Mapping[str, str]
"""Anomaly id -> incident; who is in none is missing."""


@dataclass(frozen=True)
class Score:
    hits: int  # pairs of one fault that are in one incident
    found: int  # pairs in one incident, noise among them included
    true: int  # pairs of one fault
    incidents: int
    faults: int
    opened_secs: tuple[float, ...]  # from the first onset of a fault to its incident

    @property
    def f1(self) -> float:
        return 2 * self.hits / max(self.found + self.true, 1)


LIMITS = GroupingLimits()


def live(run: Run, limits: GroupingLimits = LIMITS) -> dict[str, Incident]:
    """All incidents, in their last version, as the daemon would have them: a word at a time."""
    grouping, newest, alive = Grouping(limits), dict[str, Incident](), dict[str, Anomaly]()
    ends = [one.time_s + secs for one in run.told if one.anomaly.closed for secs in (31.0, 601.0)]
    words: list[tuple[float, Told | None]] = [(one.time_s, one) for one in run.told]
    clock = sorted([*words, *((end, None) for end in ends)], key=lambda w: w[0])
    restart_s = run.restart_s
    for time_s, word in clock:
        if restart_s is not None and time_s >= restart_s:
            grouping, restart_s = Grouping(limits), None
            grouping.restore(newest.values())
            for one in grouping.absorb(list(alive.values()), run.layout, (), time_s):
                newest[one.id] = one
        heard = [word.anomaly] if word else []
        for one in heard:
            alive[one.id] = one
            if one.closed:
                del alive[one.id]
        touched = grouping.absorb(heard, run.layout, (), time_s) + grouping.tick(time_s)
        newest |= {one.id: one for one in touched}
    return newest


def ours(run: Run) -> tuple[Groups, dict[str, float]]:
    """A flapping series has new ids; each belongs to the incident that had its series then."""
    newest = live(run)
    groups, opened = {}, {}
    series: dict[tuple[str, str], list[Incident]] = defaultdict(list)
    for one in newest.values():
        if one.merged_into:
            continue
        opened[one.id] = one.opened_s
        for member in one.anomalies:
            series[member.rule, repr(sorted(member.labels.items()))].append(one)
    for told in run.told:
        name = told.anomaly.rule, repr(sorted(told.anomaly.labels.items()))
        for one in series.get(name, ()):
            until = one.resolved_s or np.inf
            if one.onset_s - 1 <= told.anomaly.onset_s <= until:
                groups[told.anomaly.id] = one.id
    return groups, opened


def by_labels(run: Run) -> tuple[Groups, dict[str, float]]:
    """Alertmanager: group_by service, until it was over for five minutes."""
    return _windows(run, lambda one: one.service, 300.0)


def by_time(run: Run) -> tuple[Groups, dict[str, float]]:
    return _windows(run, lambda _one: "", 300.0)


def by_topology(run: Run) -> tuple[Groups, dict[str, float]]:
    """Strange neighbours within five minutes, over any number of steps."""
    first = _first(run)
    ids, parent = sorted(first, key=lambda i: first[i].onset_s), dict[str, str]()
    for at, name in enumerate(ids):
        parent[name] = name
        for other in reversed(ids[:at]):
            a, b = first[name], first[other]
            if a.onset_s - b.onset_s > 300.0:
                break
            pair = a.service, b.service
            if pair[0] == pair[1] or pair in run.layout.calls or pair[::-1] in run.layout.calls:
                parent[_root(parent, other)] = _root(parent, name)
    groups = {name: _root(parent, name) for name in ids}
    return groups, _opened(groups, first)


def _root(parent: Mapping[str, str], name: str) -> str:
    while parent[name] != name:
        name = parent[name]
    return name


def _first(run: Run) -> dict[str, Anomaly]:
    found: dict[str, Anomaly] = {}
    for told in run.told:
        found.setdefault(told.anomaly.id, told.anomaly)
    return found


def _windows(
    run: Run, key: Callable[[Anomaly], str], gap_secs: float
) -> tuple[Groups, dict[str, float]]:
    first, last, groups = _first(run), dict[str, tuple[float, str]](), dict[str, str]()
    for one in sorted(first.values(), key=lambda a: (a.onset_s, a.id)):
        before_s, name = last.get(key(one), (-np.inf, ""))
        name = name if one.onset_s - before_s <= gap_secs else one.id
        groups[one.id] = name
        last[key(one)] = one.onset_s, name
    return groups, _opened(groups, first)


def _opened(groups: Groups, first: Mapping[str, Anomaly]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, group in groups.items():
        found[group] = min(found.get(group, np.inf), first[name].onset_s)
    return found


METHODS: dict[str, Callable[[Run], tuple[Groups, dict[str, float]]]] = {
    "**aiopsd**": ours, "service + time (Alertmanager)": by_labels, "time": by_time,
    "topology + time": by_topology,
}  # fmt: skip


def score(run: Run, method: Callable[[Run], tuple[Groups, dict[str, float]]] = ours) -> Score:
    """By pairs of anomalies. A false anomaly in an incident makes wrong pairs."""
    groups, opened = method(run)
    truth = {told.anomaly.id: told.truth for told in run.told}
    begins: dict[int, float] = {}
    for told in run.told:
        if told.truth >= 0:
            onset_s = told.anomaly.onset_s
            begins[told.truth] = min(begins.get(told.truth, np.inf), onset_s)
    true = Counter(fault for fault in truth.values() if fault >= 0)
    cells = Counter((truth[i], group) for i, group in groups.items() if truth[i] >= 0)
    sizes = Counter(groups.values())
    real = {group for _, group in cells}
    found = sum(_pairs(sizes[group]) for group in real)
    waits = []
    for fault, begin_s in begins.items():
        its = [opened[group] for (one, group) in cells if one == fault]
        waits.append(max(min(its) - begin_s, 0.0) if its else np.inf)
    return Score(sum(map(_pairs, cells.values())), found, sum(map(_pairs, true.values())),
                 len(opened), run.faults, tuple(waits))  # fmt: skip


def _pairs(count: int) -> int:
    return count * (count - 1) // 2
