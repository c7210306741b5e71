"""One of many that should be alike: replicas of a deployment, disks of an array, zones.

Each member is expected where its peers are now, with its own usual difference to them (``kin``),
and judged by how rare such a deviation was on its own history (``rarity``), less what is usual for
the group's rarest (``peaks``). When the group moves, all are expected to move; when it falls
apart, nobody is an outlier.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.bank import tail
from aiopsd.detectors.groups import kin, peaks, rarity, spell
from aiopsd.detectors.groups.kin import WARM
from aiopsd.detectors.groups.rounds import HUGE, Round, Rounds
from aiopsd.detectors.sensitivity import WEIGHT, Sensitivity
from aiopsd.model import Batch, Floats, Indexes, Labels, Scores
from aiopsd.rows import At, Column, pack, unpack
from aiopsd.settings import Settings

YOUNG: Final = 20.0  # a surprise counts half at so many rounds
EDGE_DAYS, EDGE = 20.0, (3.0, 6.0)  # so rare is the band's edge, within these decades
STEPS: Final = 4  # a decade
CERTAIN: Final = 4.0  # decades beyond the edge
LASTS: Final = 3  # rounds in a row; a single one is never certain
GROWN: Final = 60  # rounds; a younger member is never certain
CERTAIN_FLOORS: Final = 3.0  # certain is at least this many floors away from expected
RELATIVE_FLOOR: Final = 0.05  # of what is expected, where no floor is given
APART: Final = 2.0  # times the usual spread of a group, from which on it falls apart
UNSURE: Final = 0.1  # how much a round inside the band teaches while a stretch lasts
STRANGER: Final = 4.0  # usual differences between members, that a new one may have
CHOOSE_ROUNDS: Final = 16  # how often difference or share is asked anew

Flags = NDArray[np.bool_]


class PeerSettings(Settings, frozen=True, kw_only=True, tag="peer"):
    """Groups of at least ``min_peers`` with the same labels in ``group_by``.

    A round is judged when it is over, that is with the first sample of the next.
    """

    group_by: tuple[str, ...] = ("service",)
    min_peers: int = 4
    direction: Literal["up", "down", "both"] = "both"
    floor: float = 0.0  # smallest deviation that counts, in units of the series; 0: derived
    sensitivity: Sensitivity = "normal"

    def __post_init__(self) -> None:
        if self.min_peers < 3:
            raise ValueError(f"`min_peers: {self.min_peers}` must be at least 3: "
                             "of two that differ, nobody knows which is wrong")  # fmt: skip
        if not 0 <= self.floor < HUGE:
            raise ValueError(f"`floor: {self.floor:g}` must be 0 or more")

    def build(self, labels: Callable[[int], Labels]) -> Peer:
        return Peer(self, labels)


_MEMBER: Final = {
    "n": Column(),  # rounds learned
    "whole": Column(1.0, np.bool_),  # only whole numbers so far
    "last": Column(),  # deviation a round before
    "centre": Column(np.nan),  # of its newest judgement: where the group was ...
    "peers": Column(),  # ... how many were there, it included ...
    "rare": Column(),  # ... and its surprise
}
_GROUP: Final = {
    "spread": Column(),  # usual deviation of members
    "rounds": Column(),
}
DAY_SECS: Final = 86400.0


class Peer:
    """See the module; members without enough peers are kept in mind and not judged."""

    def __init__(self, settings: PeerSettings, labels: Callable[[int], Labels]) -> None:
        self.settings = settings
        self._weight = WEIGHT[settings.sensitivity]
        columns = _MEMBER | kin.COLUMNS | rarity.COLUMNS | spell.COLUMNS | peaks.TIRED
        self._rounds = Rounds(settings.group_by, labels, columns, _GROUP | peaks.COLUMNS)

    def observe(self, batch: Batch) -> Scores:
        """Scores the rounds that are over, the series of the batch first (``Rounds.scores``)."""
        over = self._rounds.take(batch)
        with np.errstate(over="ignore", invalid="ignore"):
            judged = over.part(over.sizes >= self.settings.min_peers)
            said = self._judge(judged, batch.time_s)
        return self._rounds.scores(batch, judged, said)

    # --- before the judgement -----------------------------------------------------------

    def _judge(self, over: Round, now: float) -> dict[str, NDArray[np.generic]]:
        """Judges, then learns; columns of ``Scores``, one entry a member."""
        rows, at, x = self._rounds.members, over.at, over.x
        n = rows["n"][at]
        rows["whole"][at] &= x == np.rint(x)
        more, times = kin.centres(rows, over, self._counts(over, n >= WARM))
        expected, other = kin.expected(rows, at, more, times)
        apart = self._apart(over, np.abs(x - expected))
        away, floor = self._away(at, (x - expected) / apart), self._floor(at, expected)
        u, excess = self._tail(over, n)
        rare, edge = rarity.surprise(away, u, excess), self._edge(over)
        edge *= 1 + YOUNG / (np.maximum(n, WARM) + 1)  # a new one is judged by the others' past
        known = self._known(over, n)
        high = np.where(known, np.minimum(rare, edge * away / floor), 0.0)
        usual = self._usual(over, high, now)
        rare, high = rare / usual, high / usual
        score = high / (high + edge)
        width = apart * np.maximum(tail.deviation(edge * usual, u, excess), floor)
        out = score >= 0.5
        both = np.minimum(away, np.abs(x - other) / apart)  # certain is what is so either way
        beyond = rarity.surprise(both, u, excess) / usual - edge
        certain = self._certain(over, out, n, beyond, both, floor)
        rows["centre"][at], rows["peers"][at] = more, over.sizes[over.place]
        rows["rare"][at] = rare
        self._learn(over, more, times, expected, out, away, floor, now)
        return {
            "score": score, "observed": x, "expected": expected, "low": expected - width,
            "high": expected + width, "samples": n.astype(np.int32), "certain": certain,
        }  # fmt: skip

    def _usual(self, over: Round, high: Floats, now: float) -> Floats:
        """By how much surprises are too high: the group's peaks, and what was told of a member."""
        groups, at = self._rounds.groups, over.groups
        highest = np.maximum.reduceat(high, over.begin) if len(high) else high
        bar = peaks.bar(groups, at, highest, now, groups["every"][at] / over.sizes)[over.place]
        return bar * peaks.weary(self._rounds.members, over.at, now)

    def _counts(self, over: Round, grown: Flags) -> Flags:
        """Who makes the centre: those whose way is known, and all while they are too few."""
        enough = over.count(grown) >= self.settings.min_peers
        return grown | ~enough[over.place]

    def _known(self, over: Round, n: Floats) -> Flags:
        """Who is judged: a group needs some members whose way is known; a new one joins them."""
        return (over.count(n >= WARM) >= self.settings.min_peers)[over.place]

    def _apart(self, over: Round, miss: Floats) -> Floats:
        """How far beyond its usual spread the group is, as a factor from 1 on."""
        usual = self._rounds.groups["spread"][over.groups]
        spread = over.medians(miss)
        self._learn_spread(over, spread, usual)
        wide = np.divide(spread, APART * usual, out=np.ones(len(usual)), where=usual > 0)
        return np.clip(wide, 1.0, HUGE)[over.place]

    def _learn_spread(self, over: Round, spread: Floats, usual: Floats) -> None:
        """The median deviation is nobody's own: it may follow what comes, a fourfold at most."""
        rounds = self._rounds.groups["rounds"][over.groups]
        gain = 1 / np.clip(rounds + 1, 1.0, kin.MEMORY)
        most = np.where(rounds < WARM, HUGE, 4 * usual + 1e-12)
        self._rounds.groups["spread"][over.groups] += gain * (np.minimum(spread, most) - usual)
        self._rounds.groups["rounds"][over.groups] += 1

    def _tail(self, over: Round, n: Floats) -> tuple[Floats, Floats]:
        """Of each member's own deviations; a new member's are as the others differ."""
        rows, at = self._rounds.members, over.at
        u, excess = rows["u"][at], rarity.mean_excess(rows, at)
        new = n < WARM
        if new.any():
            differs = over.medians(np.where(new, np.nan, np.abs(rows["more"][at])))
            noise = over.medians(np.where(new, np.nan, u))
            theirs = np.nan_to_num(STRANGER * differs + noise)[over.place]
            u, excess = np.where(new, theirs, u), np.where(new, theirs / 3.5, excess)
        whole = 0.4 * rows["whole"][at]
        return u, np.maximum(excess, np.maximum(whole, 1e-300))

    def _floor(self, at: At, expected: Floats) -> Floats:
        """Given, or derived: 5 % of what is expected, and 1 for what is counted."""
        if self.settings.floor:
            return np.full(len(at), self.settings.floor)
        relative = RELATIVE_FLOOR * np.abs(expected)
        least = np.maximum(self._rounds.members["whole"][at], 1e-12)
        return np.asarray(np.maximum(relative, least))

    def _away(self, at: At, d: Floats) -> Floats:
        """How far on one side, in this round and the one before: a single glitch is nothing."""
        before = self._rounds.members["last"][at]
        up = np.maximum(np.minimum(d, before), 0.0)
        down = np.maximum(np.minimum(-d, -before), 0.0)
        self._rounds.members["last"][at] = d
        match self.settings.direction:
            case "up":
                return np.asarray(up)
            case "down":
                return np.asarray(down)
        return np.asarray(np.maximum(up, down))

    def _edge(self, over: Round) -> Floats:
        """Surprise of the band's edge: once in so many days, whatever the pace of the rounds.

        In steps: a pace that is a little off changes nothing.
        """
        every = self._rounds.groups["every"][over.groups]
        rounds = EDGE_DAYS * DAY_SECS / np.where(every > 0, every, 60.0)
        edge = np.clip(np.rint(STEPS * np.log10(rounds)) / STEPS, *EDGE)
        return np.asarray((edge * self._weight)[over.place])

    def _certain(
        self, over: Round, out: Flags, n: Floats, beyond: Floats, away: Floats, floor: Floats
    ) -> Flags:
        """Strong, lasting, old enough, and against one peer more than a judgement needs."""
        lasts = self._rounds.members["run"][over.at] + 1 >= LASTS
        company = over.count(n >= WARM)[over.place] > self.settings.min_peers
        strong = (beyond >= CERTAIN * self._weight) & (away >= CERTAIN_FLOORS * floor)
        return out & strong & lasts & company & (n >= GROWN)

    # --- after the judgement ------------------------------------------------------------

    def _learn(
        self, over: Round, more: Floats, times: Floats, expected: Floats, out: Flags,
        away: Floats, floor: Floats, now: float,
    ) -> None:  # fmt: skip
        rows, at = self._rounds.members, over.at
        n = rows["n"][at]
        grown = n >= WARM
        weight = np.where(rows["run"][at] > 0, UNSURE, 1.0) * (~out & grown)
        kin.learn(rows, over, more, times, weight / np.clip(n + 1, 1.0, kin.MEMORY), floor)
        self._warm_up(at, over.x - more, more, n, ~out & ~grown)
        rows["n"][at] = n + ~out
        calm = ~out & grown
        rarity.learn(rows, at[calm], away[calm], floor[calm], n[calm] - WARM)
        due = at[calm & (n % CHOOSE_ROUNDS == 0)]
        kin.choose(rows, due)
        touched = out | (rows["run"][at] > 0)
        if touched.any():
            self._follow(at[touched], over.x[touched], expected[touched], more[touched],
                         out[touched], away[touched], floor[touched], now)  # fmt: skip

    def _warm_up(self, at: At, more: Floats, centre: Floats, n: Floats, warm: Flags) -> None:
        """Keeps the first rounds; the last of them gives a way and a first tail."""
        rows, at, n = self._rounds.members, at[warm], n[warm].astype(np.intp)
        rows["warm"][at, n] = more[warm]
        full = n == WARM - 1
        if full.any():
            kin.begin(rows, at[full], centre[warm][full])
            rarity.begin(rows, at[full], rows["more_miss"][at[full]])

    def _follow(
        self, at: At, x: Floats, expected: Floats, centre: Floats, out: Flags, away: Floats,
        floor: Floats, now: float,
    ) -> None:  # fmt: skip
        """A stretch apart: its peak joins the tail when it is over; one that stays is normal."""
        rows = self._rounds.members
        spell.follow(rows, at, x - centre, out, away, now)
        over = spell.passed(rows, at) & (rows["n"][at] >= WARM)
        peaks.tire(rows, at[over], now)
        rarity.learn(
            rows, at[over], rows["peak"][at[over]], floor[over], rows["n"][at[over]] - WARM
        )
        stays = spell.stays(rows, at, now)
        if stays.any():
            at, centre = at[stays], centre[stays]
            kin.move(rows, at, expected[stays], centre + rows["shift"][at], centre)
            rows["run"][at], rows["n"][at] = 0, np.maximum(rows["n"][at], WARM)
            rows["more_miss"][at] = rows["share_miss"][at] = miss = rows["shift_miss"][at]
            rarity.begin(rows, at, miss)

    # --- explaining, keeping ------------------------------------------------------------

    def explain(self, series: int) -> Sequence[str]:
        """Where its peers are, and how rare that is on its own past."""
        rows = self._rounds.members
        at = rows.find(np.array([series], np.int32))
        if at[0] < 0 or not np.isfinite(rows["centre"][at[0]]):
            return ()
        row = int(at[0])
        peers, centre, more = int(rows["peers"][row]) - 1, rows["centre"][row], rows["more"][row]
        said = [f"its {peers} peers are at {centre:.4g}"]
        if rows["shares"][row]:
            said.append(f"usually {kin.share(rows, at)[0]:.3g} times as much as they")
        elif abs(more) >= 0.01 * abs(centre) > 0:
            said.append(f"usually {abs(more):.3g} {'more' if more > 0 else 'less'} than they")
        n, decades = int(rows["n"][row]), float(rows["rare"][row])
        if n >= WARM:
            said.append(f"so far from them once in {_times(decades)} rounds, by its last {n}")
        return said

    def lacks(self) -> str:
        return self._rounds.lacks("peer", self.settings.min_peers)

    def forget(self, series: Indexes) -> None:
        self._rounds.forget(series)

    def save(self) -> bytes:
        return pack("peer", 1, *self._rounds.save())

    def load(self, saved: bytes) -> None:
        self._rounds.load(unpack("peer", 1, saved, Rounds.SHAPE))


def _times(decades: float) -> str:
    return "a million or more" if decades >= 6 else f"{10**decades:,.0f}"
