"""What detectors would tell of a simulated world: tiers, onsets, recoveries, mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from aiopsd.model import Anomaly, Floats
from tests.simulation.shop import SIGNALS, TICK_SECS, Shop, Trouble, effects

SUSPICIOUS, CERTAIN = 1.0, 2.5  # sizes of an effect
MISSED, LATE = 0.12, 0.2  # of the series of a fault: never told; told minutes late
BUDGET = {"suspicious": 50.0, "certain": 1.0}  # false ones of 1,000 series in a day
# 0 of 421 false anomalies of the engine on quiet series lasted more than one sample, so at most
# 0.7 % do; here it is more, to be on the safe side.
GOES_ON, IN_COMPANY = 0.05, 0.3  # of false ones: at the next tick too; a sister series has it too
DAY_SECS = 86400.0
STATED = {"down": "threshold", "host_cpu": "threshold", "up": "absent"}


@dataclass(frozen=True)
class Told:
    """One word about an anomaly, when it is said, and the fault that it is of; -1: none."""

    time_s: float
    anomaly: Anomaly
    truth: int


def make(
    place: str, signal: str, tier: str, onset_s: float, host: str = "", part: str = ""
) -> Anomaly:
    is_host = place.startswith("host-")
    labels = {"host": place} if is_host else {"service": place, "host": host}
    labels |= {"quantile": part} if part else {}
    return Anomaly(
        id=f"{signal}{part}/{place}/{int(onset_s)}", rule=f"{signal}{part}",
        kind="stale" if signal == "up" else SIGNALS[signal],
        severity="critical" if signal in ("down", "up") else "high",
        tier=tier, labels=labels, entity={"host" if is_host else "service": place},
        service=place, onset_s=onset_s, seen_s=onset_s, detector=STATED.get(signal, "band"),
        title=f"{signal} {place}", score=0.9,
    )  # fmt: skip


def words(one: Anomaly, end_s: float, truth: int, said_s: float) -> list[Told]:
    """Opened, every half minute for a while, then seldom, and recovered."""
    found, now_s, pause_secs = [], max(one.onset_s, said_s), 30.0
    while now_s < end_s:
        found.append(Told(now_s, replace(one, seen_s=now_s), truth))
        now_s += pause_secs
        pause_secs = min(300.0, max(30.0, 0.1 * (now_s - one.onset_s)))
    over = replace(one, seen_s=max(end_s - TICK_SECS, one.onset_s), ended_s=end_s)
    return [*found, Told(end_s + 2 * TICK_SECS, over, truth)] if found else []


def tell(
    world: Shop, troubles: Sequence[Trouble], until_s: float, random: np.random.Generator
) -> list[Told]:
    """The words about real faults. What two faults move is of the one that moves it more."""
    times_s = np.arange(0.0, until_s, TICK_SECS)
    each = [effects(world, one, times_s) for one in troubles]
    found: list[Told] = []
    for place, signal in sorted({key for one in each for key in one}):
        if random.random() < MISSED and not _is_only_sign(each, place):
            continue
        nothing = np.zeros(len(times_s))
        sizes = np.array([one.get((place, signal), nothing) for one in each])
        wobble = np.exp(random.normal(0, 0.25)) * np.exp(random.normal(0, 0.1, len(times_s)))
        size = sizes.sum(axis=0) * wobble
        late_secs = float(random.uniform(60, 180)) if random.random() < LATE else 0.0
        late_secs += float(random.uniform(0, 30))
        for first, last in _stretches(size > SUSPICIOUS):
            onset_s = float(times_s[first]) + late_secs
            end_s = float(times_s[last]) + TICK_SECS
            if end_s - onset_s < 2 * TICK_SECS:
                continue
            truth = int(np.argmax(sizes[:, first : last + 1].sum(axis=1)))
            tier = "certain" if size[first : last + 1].max() > CERTAIN else "suspicious"
            one = make(place, signal, tier, onset_s, world.host.get(place, ""))
            found += words(one, end_s, truth, onset_s + float(random.uniform(0, 15)))
    return found


def _is_only_sign(each: Sequence[dict[tuple[str, str], Floats]], place: str) -> bool:
    return all(key[0] == place for one in each for key in one)


def _stretches(over: np.ndarray) -> list[tuple[int, int]]:
    """First and last ticks; gaps of one tick do not count."""
    at = np.flatnonzero(over)
    if not len(at):
        return []
    cuts = np.flatnonzero(np.diff(at) > 2)
    firsts, lasts = np.append(at[0], at[cuts + 1]), np.append(at[cuts], at[-1])
    return [(int(a), int(b)) for a, b in zip(firsts, lasts, strict=True)]


def noise(world: Shop, series: int, until_s: float, random: np.random.Generator) -> list[Told]:
    """False anomalies at the budget; a third of them with a sister, such as p50 and p99."""
    found: list[Told] = []
    signals = [s for s in SIGNALS if s not in STATED]
    for tier, rate in BUDGET.items():
        count = int(random.poisson(rate * series / 1000 * until_s / DAY_SECS))
        for _ in range(count):
            place, signal = str(random.choice(world.services)), str(random.choice(signals))
            onset_s = float(random.uniform(0, until_s))
            number = int(random.integers(0, max(1, series // len(world.services))))
            sisters = 2 if random.random() < IN_COMPANY else 1
            for part in range(sisters):
                lasts = TICK_SECS * float(random.geometric(1 - GOES_ON))
                one = make(place, signal, tier, onset_s, world.host[place], f"-{number}-{part}")
                found += words(one, onset_s + lasts, -1, onset_s)
    return found
