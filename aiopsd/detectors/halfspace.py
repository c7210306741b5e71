"""A group of series that are odd together: all metrics of one service, all of one machine.

The group is a point with a number for each member, and two sorts of half-spaces are cut off by it:
beyond the point, seen from what the other members say of one (``company``). How rare each is on
its own past (``rarity``), the mean of the rarest quarter, and how rare that is on the group's past,
less what is usual for its rarest (``peaks``): that is the group's score. It is given to the members
without which the group would not be odd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.bank import tail
from aiopsd.detectors.groups import company, peaks, rarity
from aiopsd.detectors.groups.company import WARM, Judgement
from aiopsd.detectors.groups.rounds import Round, Rounds
from aiopsd.detectors.sensitivity import WEIGHT, Sensitivity
from aiopsd.model import Batch, Floats, Indexes, Labels, Scores
from aiopsd.rows import At, Column, Rows, pack, unpack
from aiopsd.settings import Settings

DAY_SECS: Final = 86400.0
RANKED: Final = 50  # rounds in which members are ranked, before the group is judged
YOUNG: Final = 20.0  # a surprise counts half at so many rounds
EDGE_DAYS, EDGE = 12.0, (2.5, 5.0)  # so rare is the edge for a group, within these decades
ODD: Final = 3.0  # mean surprise from which on a round teaches little, strange or not
STEPS: Final = 4  # a decade: a pace that is a little off changes nothing
CERTAIN: Final = 4.0  # decades beyond the edge
GROWN: Final = 288  # rounds; a younger group is never certain
LASTS: Final = 3  # rounds in a row; a single one is never certain
INSIDE: Final = 0.49  # highest score of a member that a strange group is not strange by
UNSURE: Final = 0.2  # how much a strange round teaches of members ...
OUTSIDE, STAYS = 1 / 300, 300.0  # ... and of how odd is usual, until it is how things are

Flags = NDArray[np.bool_]


class HalfspaceSettings(Settings, frozen=True, kw_only=True, tag="halfspace"):
    """Groups of ``min_members`` to 32 with the same labels in ``group_by``.

    A round is judged when it is over, that is with the first sample of the next.
    """

    group_by: tuple[str, ...] = ("service",)
    min_members: int = 3
    sensitivity: Sensitivity = "normal"

    def __post_init__(self) -> None:
        if not 2 <= self.min_members <= company.MOST:
            raise ValueError(f"`min_members: {self.min_members}` must be 2 to {company.MOST}")

    def build(self, labels: Callable[[int], Labels]) -> Halfspace:
        return Halfspace(self, labels)


_RANKED: Final = rarity.COLUMNS | {
    "ranked": Column(),  # rounds so far
    "first": Column(),  # sum of what is ranked, and of its square, in the first of them
    "second": Column(),
}
_GROUP: Final = (
    _RANKED
    | peaks.COLUMNS
    | peaks.TIRED
    | {
        "odd": Column(),  # mean surprise of the rarest quarter, in its newest round ...
        "rare": Column(),  # ... and how rare that was
        "run": Column(),  # strange rounds in a row
    }
)
_MEMBER: Final = _RANKED | {"part": Column()}  # its own surprise in the newest round


class Halfspace:
    """See the module; members beyond 32 of a group are counted and not judged."""

    def __init__(self, settings: HalfspaceSettings, labels: Callable[[int], Labels]) -> None:
        self.settings = settings
        self.beyond = 0  # samples of members that were too many
        self._weight = WEIGHT[settings.sensitivity]
        members, groups = company.MEMBER | _MEMBER, company.GROUP | _GROUP
        self._rounds = Rounds(settings.group_by, labels, members, groups)

    def observe(self, batch: Batch) -> Scores:
        """Scores the rounds that are over, the series of the batch first (``Rounds.scores``)."""
        over = self._rounds.take(batch)
        members, groups = self._rounds.members, self._rounds.groups
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            company.seat(members, groups, over)
            seated = members["slot"][over.at] >= 0
            self.beyond += int(len(seated) - seated.sum())
            least, warm = self.settings.min_members, seated & (members["n"][over.at] >= WARM)
            judged = over.only(warm & (over.count(warm) >= least)[over.place])
            said, weight = self._judge(judged, batch.time_s)
            teaches = np.ones(len(groups["run"]))
            teaches[judged.groups] = weight
            # A lone member tells nothing, and is not taught.
            taught = over.only(seated & (over.count(seated) >= least)[over.place])
            company.follow(members, taught.at, taught.x, teaches[taught.groups][taught.place])
        return self._rounds.scores(batch, judged, said)

    # --- the judgement ------------------------------------------------------------------

    def _judge(self, over: Round, now: float) -> tuple[dict[str, NDArray[np.generic]], Floats]:
        """Columns of ``Scores``, one entry a member; and how much each group teaches."""
        members, groups = self._rounds.members, self._rounds.groups
        found = company.judge(members, groups, over)
        away, at = np.abs(found.residual), over.groups
        part = _rare(members, over.at, away)
        newest = _quarter(over, part)
        odd = np.minimum(newest, groups["odd"][at])  # a single glitch is nothing
        edge = self._edge(over)
        rare = _rare(groups, at, odd)
        usual = peaks.bar(groups, at, rare, now, groups["every"][at])
        usual *= peaks.weary(groups, at, now)
        rare /= usual
        n = np.maximum(groups["ranked"][at] - RANKED, 0.0)
        score = rare / (rare + edge * (1 + YOUNG / (n + 1)))
        strange = score >= 0.5
        peaks.tire(groups, at[~strange & (groups["run"][at] > 0)], now)
        groups["run"][at] = run = np.where(strange, groups["run"][at] + 1, 0.0)
        sure = strange & (rare >= edge + CERTAIN * self._weight) & (run >= LASTS) & (n >= GROWN)
        blamed = self._blame(over, part, strange, edge * usual)
        mine = np.where(blamed, score[over.place], np.minimum(score[over.place], INSIDE))
        said = self._said(over, found, mine, blamed & sure[over.place], edge * usual)
        members["part"][over.at], groups["odd"][at], groups["rare"][at] = part, newest, rare
        weight = np.where(strange | (newest >= ODD), UNSURE, 1.0)
        self._learn(over, found.z, away, odd, weight)
        return said, weight

    def _blame(self, over: Round, part: Floats, strange: Flags, edge: Floats) -> Flags:
        """One after the other the rarest, each judged as if those before were missing, until the
        rest is not odd any more; a quarter of the group at most."""
        blamed, idx = np.zeros(len(part), bool), np.flatnonzero(strange[over.place])
        left, least = over.only(strange[over.place]), edge[strange]
        most, part = (left.sizes + 3) // 4, part[idx]
        many = 0
        while len(part):
            many += 1
            top = np.lexsort((part, left.place))[np.append(left.begin[1:], len(part)) - 1]
            blamed[idx[top]] = True
            rest = np.ones(len(part), bool)
            rest[top] = False
            left, idx = left.only(rest), idx[rest]
            odd, part = self._without(left)
            goes = (odd >= least) & (many < most)
            stay = goes[left.place]
            left, idx, part = left.only(stay), idx[stay], part[stay]
            least, most = least[goes], most[goes]
        return blamed

    def _without(self, left: Round) -> tuple[Floats, Floats]:
        """How rare so odd a group is, and each of its members."""
        members, groups = self._rounds.members, self._rounds.groups
        part = _rare(members, left.at, np.abs(company.judge(members, groups, left).residual))
        return _rare(groups, left.groups, _quarter(left, part)), part

    def _edge(self, over: Round) -> Floats:
        every = self._rounds.groups["every"][over.groups]
        rounds = EDGE_DAYS * DAY_SECS / np.where(every > 0, every, 60.0)
        edge = np.clip(np.rint(STEPS * np.log10(rounds)) / STEPS, *EDGE)
        return np.asarray(edge * self._weight)

    def _said(
        self, over: Round, found: Judgement, score: Floats, certain: Flags, edge: Floats
    ) -> dict[str, NDArray[np.generic]]:
        """The band is what would be as rare for the member alone."""
        rows, at = self._rounds.members, over.at
        u: Floats = rows["u"][at]
        away = tail.deviation(edge[over.place], u, rarity.mean_excess(rows, at))
        width = found.usual * np.where(rows["ranked"][at] > RANKED, away, company.CLIP)
        return {
            "score": score, "observed": over.x, "expected": found.expected,
            "low": found.expected - width, "high": found.expected + width,
            "samples": rows["n"][at].astype(np.int32), "certain": certain,
        }  # fmt: skip

    # --- after the judgement ------------------------------------------------------------

    def _learn(self, over: Round, z: Floats, away: Floats, odd: Floats, weight: Floats) -> None:
        members, groups, at = self._rounds.members, self._rounds.groups, over.groups
        company.learn(groups, over, z, weight)
        _rank(members, over.at, away, weight[over.place])
        begun = over.count(members["ranked"][over.at] > RANKED) >= self.settings.min_members
        outside = (groups["run"][at] > 0) & (groups["run"][at] < STAYS)
        calm = np.where(outside, OUTSIDE, 1.0)
        _rank(groups, at[begun], odd[begun], calm[begun])

    # --- explaining, keeping ------------------------------------------------------------

    def explain(self, series: int) -> Sequence[str]:
        """How odd the group is, and by which members."""
        members, groups = self._rounds.members, self._rounds.groups
        at = members.find(np.array([series], np.int32))
        if at[0] < 0 or members["n"][at[0]] < WARM:
            return ()
        _, everyone = members.known()
        mine = everyone[members["group"][everyone] == members["group"][at[0]]]
        group = int(groups.find(members["group"][at])[0])
        parts = members["part"][mine]
        rank = 1 + int((parts > members["part"][at[0]]).sum())
        decades = float(groups["rare"][group])
        times = "a million or more" if decades >= 6 else f"{10**decades:,.0f}"
        return (
            f"its group of {len(mine)} is so odd once in {times} rounds, "
            f"by its last {int(groups['ranked'][group])}",
            f"it is number {rank} of what makes it odd: not what the others say that it should be",
        )

    def lacks(self) -> str:
        return self._rounds.lacks("halfspace", self.settings.min_members)

    def forget(self, series: Indexes) -> None:
        self._rounds.forget(series)

    def save(self) -> bytes:
        return pack("halfspace", 1, self._rounds.save(), self.beyond)

    def load(self, saved: bytes) -> None:
        rounds, beyond = unpack("halfspace", 1, saved, tuple[Rounds.SHAPE, int])
        self._rounds.load(rounds)
        self.beyond = beyond


def _rare(rows: Rows, at: At, value: Floats) -> Floats:
    """In decades, on its own past; 0 as long as there is none."""
    rare = rarity.surprise(value, rows["u"][at], rarity.mean_excess(rows, at))
    return np.where(rows["ranked"][at] > RANKED, rare, 0.0)


def _rank(rows: Rows, at: At, value: Floats, weight: Floats) -> None:
    """Takes in how large this was; the first rounds give a first guess."""
    n = rows["ranked"][at]
    rows["ranked"][at] = n + 1
    warm = n < RANKED
    rows["first"][at] += np.where(warm, value, 0.0)
    rows["second"][at] += np.where(warm, value * value, 0.0)
    full = at[n == RANKED]
    if len(full):
        mean = rows["first"][full] / RANKED
        spread = np.sqrt(np.maximum(rows["second"][full] / RANKED - mean * mean, 1e-6))
        rarity.reset(rows, full, mean + 2.4 * spread, 0.8 * spread)
    later = n > RANKED
    least = np.full(int(later.sum()), 1.0)
    rarity.learn(rows, at[later], value[later], least, n[later] - RANKED, weight[later])


def _quarter(over: Round, part: Floats) -> Floats:
    """Of each group: the mean of the rarest quarter of its members."""
    table = np.full((len(over.groups), company.MOST), -1.0)
    table[over.place, np.arange(len(part)) - over.begin[over.place]] = part
    table = -np.sort(-table, axis=1)
    last, row = (over.sizes + 3) // 4 - 1, np.arange(len(over.groups))
    return np.asarray(np.cumsum(table, axis=1)[row, last] / (last + 1))
