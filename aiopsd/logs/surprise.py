"""How strange a session is, by how often it said what: counts of templates, no labels.

For each template, the share of sessions with at most, or at least, that count says how rare this
count is: -log of the smaller share, less the entropy of its counts, as a restless template says
little. Shares, not first sights: a failure that repeats stays strange until it is common.

Two memories, as what a system does drifts. The long one forgets over many thousands of sessions,
and learns a tenth of what was flagged; the short one holds the last ones as they were. What is
strange to the long one and usual by now is drift, unless its words speak of failure.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from aiopsd.rows import pack, unpack

FLAG: Final = 4.0  # nats: 1 session in 55, by one template alone that speaks of nothing
SPEAKS, SILENT = 1.5, 0.8  # weights of templates that speak of failure, and of the others
REST: Final = 0.15  # of the surprise of all templates but the worst
WARM: Final = 100  # sessions before the first is judged
SHORT, LONG = 150, 20_000  # sessions that are held, sessions until half is forgotten
SLOW: Final = 0.1  # of a flagged session is learned
LATELY, FEW, USUAL = 300, 48, 0.93  # where more than 7 % is strange, the bar rises until learned
REFRESH: Final = 16  # sessions between two looks at the memories
MAX_TEMPLATES: Final = 2000
SHOWN: Final = 3

Counts = Mapping[int, int]
Level = tuple[int, int]
"""A template and the bucket of its count."""


class Reason(NamedTuple):
    """This template came ``times``; usually ``usual`` times; as rare is ``share`` of all."""

    surprise: float
    template: int
    times: int
    usual: int
    share: float

    def said(self, text: str, of: str = "sessions") -> str:
        """Such as ``"PacketResponder <num>" 3 times, usually 1: 1 in 400 sessions``."""
        times = {0: "missing", 1: "once"}.get(self.times, f"{self.times:,} times")
        usually = {0: "", 1: ", usually once"}.get(self.usual, f", usually {self.usual:,} times")
        often = int(1 / max(self.share, 1e-9) + 1e-6)
        often -= often % 10 ** (len(str(often)) - 1)  # one digit, and never rarer than it is
        return f'"{text}" {times}{usually}: 1 in {often:,} {of}'


class Judged(NamedTuple):
    score: float
    flag: bool
    why: tuple[Reason, ...] = ()


def bucket(count: int) -> int:
    return count if count <= 3 else 3 + int(2 * math.log2(count / 3))


def _least(of_bucket: int) -> int:
    return of_bucket if of_bucket <= 3 else math.ceil(3 * 2 ** ((of_bucket - 3) / 2))


class Memory:
    """How many sessions (``n``) had how much of each template; those without it are the rest."""

    def __init__(self) -> None:
        self.n = 0.0
        self.counts: dict[int, dict[int, float]] = {}  # template -> bucket -> sessions
        self.total: dict[int, float] = {}  # template -> sessions that had any

    def add(self, levels: Iterable[Level], weight: float, sessions: float | None = None) -> None:
        self.n += weight if sessions is None else sessions
        for template, at in levels:
            known = self.counts.setdefault(template, {})
            known[at] = known.get(at, 0.0) + weight
            self.total[template] = self.total.get(template, 0.0) + weight

    def spread(self, template: int) -> dict[int, float]:
        """Sessions by bucket, those without any too."""
        known = dict(self.counts.get(template, ()))
        known[0] = max(0.0, self.n - self.total.get(template, 0.0))
        return known

    def surprise(self, template: int, at: int) -> tuple[float, float]:
        """Nats, and the share of sessions that are as far out."""
        spread = self.spread(template)
        low = sum(n for one, n in spread.items() if one <= at)
        high = sum(n for one, n in spread.items() if one >= at)
        whole = max(sum(spread.values()), 1e-9)
        entropy = -sum(n / whole * math.log(n / whole) for n in spread.values() if n > 0)
        share = (max(0.0, min(low, high)) + 0.5) / (self.n + 1)
        return max(0.0, -math.log(min(share, 1.0)) - entropy), share

    def forget(self, keep: float, least: float, most: int) -> None:
        """This share of all stays, and of templates the most frequent."""
        self.n *= keep
        total = {one: n * keep for one, n in self.total.items() if n * keep >= least}
        if len(total) > most:
            total = dict(sorted(total.items(), key=lambda pair: -pair[1])[:most])
        self.total = total
        self.counts = {one: {at: n * keep for at, n in self.counts[one].items()} for one in total}

    def join(self, younger: int, older: int) -> None:
        """They turned out to be one."""
        for at, n in self.counts.pop(younger, {}).items():
            known = self.counts.setdefault(older, {})
            known[at] = known.get(at, 0.0) + n
        gone = self.total.pop(younger, 0.0)
        self.total[older] = min(self.n, self.total.get(older, 0.0) + gone)


class Surprise:
    """``fails`` says of a template whether it speaks of failure."""

    def __init__(self, fails: Callable[[int], bool], warm: int = WARM) -> None:
        self._fails, self._warm = fails, warm
        self.seen, self.bar = 0, FLAG
        self._long, self._short = Memory(), Memory()
        self._last: deque[list[Level]] = deque()
        self._scores: deque[float] = deque(maxlen=LATELY)
        self._begin()

    def _begin(self) -> None:
        self._known: dict[Level, tuple[float, float]] = {}
        self._missed: dict[int, float] | None = None  # what most sessions have

    def observe(self, counts: Counts, *, trusted: bool = True) -> Judged:
        """Judges a session by those before it, then learns it. One that is not ``trusted``, as it
        came in the midst of trouble, hardly teaches that failures are usual."""
        levels = [(template, bucket(count)) for template, count in sorted(counts.items())]
        judged = self._judge(counts, levels)
        self._learn(levels, SLOW if judged.flag else 1.0, trusted)
        self._scores.append(judged.score)
        self.seen += 1
        if self.seen % REFRESH == 0:
            self._refresh()
        return judged

    def _judge(self, counts: Counts, levels: list[Level]) -> Judged:
        if self.seen < self._warm:
            return Judged(0.0, False)
        found = [(self._surprise(*level)[0], *level) for level in levels]
        found += [(nats, one, 0) for one, nats in self._missing().items() if one not in counts]
        found.sort(key=lambda one: (-one[0], one[1]))
        score = found[0][0] + REST * sum(one[0] for one in found[1:]) if found else 0.0
        if score < self.bar:
            return Judged(score, False, ())
        why = tuple(self._reason(*one, counts) for one in found[:SHOWN] if one[0] > 1)
        return Judged(score, True, why)

    def _surprise(self, template: int, at: int) -> tuple[float, float]:
        known = self._known.get((template, at))
        if known is None:
            nats, share = self._long.surprise(template, at)
            failing = at > 0 and self._fails(template)
            if not failing and len(self._last) >= SHORT // 2:
                nats = min(nats, self._short.surprise(template, at)[0])
            known = self._known[template, at] = nats * (SPEAKS if failing else SILENT), share
        return known

    def _missing(self) -> dict[int, float]:
        """What it says when one of the templates that most sessions have is not there."""
        if self._missed is None:
            most = [one for one, n in self._long.total.items() if 2 * n > self._long.n]
            self._missed = {one: self._surprise(one, 0)[0] for one in most}
        return self._missed

    def _reason(self, nats: float, template: int, at: int, counts: Counts) -> Reason:
        spread, half = sorted(self._long.spread(template).items()), 0.0
        usual = 0
        for usual, n in spread:  # noqa: B007 - the median is where it ends
            half += n
            if 2 * half >= self._long.n:
                break
        share = max(self._surprise(template, at)[1], 1 / (self._long.n + 1))  # no rarer than read
        return Reason(nats, template, counts.get(template, 0), _least(usual), share)

    def _learn(self, levels: list[Level], weight: float, trusted: bool) -> None:
        doubtful = [] if trusted else [level for level in levels if self._fails(level[0])]
        self._long.add([level for level in levels if level not in doubtful], weight)
        self._long.add(doubtful, weight * SLOW, 0.0)
        self._short.add(levels, 1.0)
        self._last.append(levels)
        if len(self._last) > SHORT:
            self._short.add(self._last.popleft(), -1.0)

    def _refresh(self) -> None:
        self._begin()
        scores = sorted(self._scores)
        high = scores[int(USUAL * len(scores))] + 0.01 if len(scores) >= FEW else 0.0
        self.bar = max(FLAG, high)
        if self.seen % LONG < REFRESH or len(self._long.total) > MAX_TEMPLATES:
            halve = self.seen % LONG < REFRESH
            self._long.forget(0.5 if halve else 1.0, 0.05, MAX_TEMPLATES * 3 // 4)
        if len(self._short.total) > MAX_TEMPLATES // 4:
            self._hold()

    def join(self, joins: Mapping[int, int]) -> None:
        """Younger template -> the older one that it turned out to be."""
        for younger in self._long.total.keys() & joins.keys():
            self._long.join(younger, joins[younger])
            self._begin()
        if self._short.total.keys() & joins.keys():
            self._last = deque(_joined(levels, joins) for levels in self._last)
            self._hold()
            self._begin()

    def _hold(self) -> None:
        self._short = Memory()
        for levels in self._last:
            self._short.add(levels, 1.0)

    def save(self) -> bytes:
        known = [(*level, *found) for level, found in self._known.items()]
        state = (self.seen, self.bar, self._long.n, self._long.counts, list(self._last))
        return pack("surprise", 1, *state, list(self._scores), known, self._missed)

    def load(self, saved: bytes) -> None:
        """Raises ValueError on what is no saved state."""
        shape = tuple[
            int, float, float, dict[int, dict[int, float]], list[list[Level]], list[float],
            list[tuple[int, int, float, float]], dict[int, float] | None,
        ]  # fmt: skip
        found = unpack("surprise", 1, saved, shape)
        self.seen, self.bar, n, counts, last, scores, known, self._missed = found
        self._long = Memory()
        self._long.n, self._long.counts = n, counts
        self._long.total = {one: sum(spread.values()) for one, spread in counts.items()}
        self._last, self._scores = deque(last), deque(scores, LATELY)
        self._hold()
        self._known = {(template, at): (nats, share) for template, at, nats, share in known}


def _joined(levels: Iterable[Level], joins: Mapping[int, int]) -> list[Level]:
    counts: dict[int, int] = {}
    for template, at in levels:
        template = joins.get(template, template)
        counts[template] = counts.get(template, 0) + _least(at)
    return [(template, bucket(count)) for template, count in sorted(counts.items())]
