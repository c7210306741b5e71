"""How quiet ``step``, ``peer`` and ``halfspace`` are on the series that the band is held to.

    make bench ARGS=tests/bench/test_bench_quiet_members.py        some ten minutes

Sizes: AIOPSD_BENCH_SERIES (of each kind, a multiple of 8), AIOPSD_BENCH_DAYS (after three of
warm-up). And what ``step`` sees in a large swing, whom ``halfspace`` blames.
"""

import os
from typing import Any

import numpy as np
import pytest

from aiopsd.detectors.halfspace import HalfspaceSettings
from aiopsd.detectors.peer import PeerSettings
from aiopsd.detectors.step import StepSettings
from aiopsd.model import Batch
from tests.bench.quiet import DAY, MONDAY_S, QUIET, Block, Random

SERIES = int(os.environ.get("AIOPSD_BENCH_SERIES", 16))
DAYS = int(os.environ.get("AIOPSD_BENCH_DAYS", 14))
WARM_DAYS, SIZE, SAME_SECS = 3, 8, 600.0
SHARED = "daily", "weekly", "drift", "random walk"  # loads, that a group has in common
MEMBERS: dict[str, Any] = {
    "step": StepSettings(), "peer": PeerSettings(), "halfspace": HalfspaceSettings(),
}  # fmt: skip


def of_kind(kind: str, random: Random, *, groups: bool) -> Block:
    if not groups or kind not in SHARED:
        return QUIET[kind](random, SERIES)
    load = QUIET[kind](random, SERIES // SIZE)
    return lambda times_s: (
        np.repeat(load(times_s), SIZE, axis=1) + 4 * random.standard_normal((len(times_s), SERIES))
    )


@pytest.mark.parametrize("step_secs", [15.0, 60.0, 300.0])
@pytest.mark.parametrize("member", MEMBERS)
def test_quiet_series_are_quiet(member: str, step_secs: float) -> None:
    """Of 1,000 series in a day; again within ten minutes is the same trouble."""
    random = np.random.default_rng(20)
    blocks = [of_kind(kind, random, groups=member != "step") for kind in QUIET]
    one = MEMBERS[member].build(lambda index: {"service": str(index // SIZE)})
    series = np.arange(len(QUIET) * SERIES, dtype=np.int32)
    last, count = np.full((2, len(series)), -np.inf), np.zeros((2, len(series)))
    ticks, warm = (int(days * DAY / step_secs) for days in (DAYS + WARM_DAYS, WARM_DAYS))
    for first in range(0, ticks, 960):
        times_s = MONDAY_S + np.arange(first, min(first + 960, ticks)) * step_secs
        values = np.concatenate([block(times_s) for block in blocks], axis=1)
        for now, row in zip(times_s.tolist(), values, strict=True):
            scores = one.observe(Batch("r", now, series, row))
            for tier, flags in enumerate((scores.certain, scores.score >= 0.5)):
                mine = flags[: len(series)]
                if now >= MONDAY_S + warm * step_secs:
                    count[tier] += mine & (now - last[tier] > SAME_SECS)
                last[tier][mine] = now
    found = count.reshape(2, len(QUIET), SERIES).mean(axis=2) * 1000 / DAYS
    print(f"\n{member}, every {step_secs:g} s: certain, suspicious")
    for kind, certain, suspicious in zip(QUIET, *found, strict=True):
        print(f"  {kind:12} {certain:6.1f} {suspicious:7.1f}")
    print(f"  {'mean':12} {found[0].mean():6.2f} {found[1].mean():7.1f}")
    days = SERIES * len(QUIET) * DAYS / 1000
    for tier, budget in enumerate((1.0, 50.0)):
        limit = (budget * days + 3 * np.sqrt(budget * days) + 1) / days
        assert found[tier].mean() <= limit, "three deviations of a count above the budget"


@pytest.mark.parametrize("swing", [0.0, 30.0])
def test_a_step_in_a_swing(swing: float) -> None:
    """Share of 40 series seen within half a day, after ten; in deviations of the noise."""
    print(f"\nswing {swing:g}: step, seen, minutes until then (median)")
    times_s, seen = 20_000 * DAY + 300.0 * np.arange(int(10.5 * 288)), {}
    for size in (3.0, 5.0, 8.0, 30.0):
        random, one = np.random.default_rng(31), StepSettings(floor=0.5).build(lambda _: {})
        day = np.sin(2 * np.pi * (times_s[:, None] / DAY + random.random(40)))
        values = 100 + swing * day + random.standard_normal((len(times_s), 40))
        values[2880:] += size
        strange = np.stack([
            one.observe(Batch("r", float(now), np.arange(40, dtype=np.int32), row)).score >= 0.5
            for now, row in zip(times_s, values, strict=True)
        ])[2880:]  # fmt: skip
        seen[size] = strange.any(axis=0).mean()
        print(f"  {size:4g} {seen[size]:6.2f} {5 * np.median(strange.argmax(axis=0)):6.0f}")
    assert seen[8.0] > 0.9


def test_whom_halfspace_blames() -> None:
    """40 groups of eight, five of which share a load; one of these moves."""
    print("\nmoved by: groups seen in half an hour, of rounds, guilty of those blamed")
    load = np.where(np.arange(40 * SIZE) % SIZE < 5, 0.9, 0.0)
    for size in (3.0, 5.0, 8.0):
        random = np.random.default_rng(51)
        shared = random.standard_normal((1030, 40)).repeat(SIZE, axis=1)
        values = load * shared + np.sqrt(1 - load**2) * random.standard_normal(shared.shape)
        values[1000:, ::SIZE] += size
        one = HalfspaceSettings().build(lambda index: {"service": str(index // SIZE)})
        series = np.arange(values.shape[1], dtype=np.int32)
        strange = np.stack([
            one.observe(Batch("r", 2e9 + 60 * n, series, 100 + 5 * row)).score >= 0.5
            for n, row in enumerate(values)
        ])[1001:].reshape(-1, 40, SIZE)  # fmt: skip
        seen, guilty = strange.any(axis=2), strange[:, :, 0].sum() / max(strange.sum(), 1)
        print(f"  {size:4g} {seen.any(axis=0).mean():6.2f} {seen.mean():6.2f} {guilty:6.2f}")
        assert guilty > 0.9
