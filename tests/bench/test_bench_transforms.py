"""What a tick of raw samples costs until it is a tick of rules, by who brings it and how.

``make bench`` prints the tables; the bounds are far from what a quiet machine reaches.
"""

import time

import numpy as np
import pytest

from aiopsd.model import Batch, Indexes
from aiopsd.series import SeriesTable
from aiopsd.transforms import Transforms, Unruled, compile_selection

TICKS = 20
EVERY_SECS = 15.0
FORMS = [
    ("rate", ("service",), None),
    ("value", (), None),
    ("delta", ("service",), "m2"),
    ("changes", ("path",), None),
    ("value", ("service",), None),
]


def selections(many: int) -> dict[str, object]:
    return {
        f"r{n}": compile_selection(f"m{n % 5}", *FORMS[n % 5][:2], FORMS[n % 5][2], 60.0)
        for n in range(many)
    }


def fleet(table: SeriesTable, series: int, targets: int) -> list[Indexes]:
    """What each target brings: five metrics of fifty services."""
    names = [
        [
            {"__name__": f"m{n % 5}", "service": f"s{n % 50}", "path": str(n), "instance": str(t)}
            for n in range(series // targets)
        ]
        for t in range(targets)
    ]
    return [np.array([table.intern("", one) for one in each], np.int32) for each in names]


def measured(transforms: Transforms, parts: list[Indexes]) -> tuple[float, float, int]:
    """CPU seconds of the first tick, then of a tick (median); derived samples of the last."""
    secs, derived = [], 0
    for tick in range(TICKS):
        begun, derived = time.process_time(), 0
        for n, series in enumerate(parts):
            values = np.full(len(series), tick * 7.0)
            found = transforms.feed(Batch("", tick * EVERY_SECS + n * 0.01, series, values))
            derived += sum(len(batch.series) for batch in found)
        secs.append(time.process_time() - begun)
    return secs[0], float(np.median(secs[3:])), derived


def test_many_targets_cost_as_much_as_one() -> None:
    """10,000 raw series, 10 selections."""
    took = {}
    for targets in (1, 10, 100):
        table = SeriesTable()
        transforms = Transforms(selections(10), table)  # type: ignore[arg-type]
        first, took[targets], derived = measured(transforms, fleet(table, 10_000, targets))
        print(f"\ntransforms, {targets:3} targets: first tick {1000 * first:.0f} ms, "
              f"then {1000 * took[targets]:.1f} ms, {derived:,} derived")  # fmt: skip
        assert derived >= 4_000
    assert took[100] < 2.5 * took[1], "twice, and what a busy machine adds"


@pytest.mark.parametrize("targets", [1, 100])
def test_a_hundred_thousand_series(targets: int) -> None:
    """20 selections."""
    table = SeriesTable(1_000_000)
    transforms = Transforms(selections(20), table)  # type: ignore[arg-type]
    first, then, derived = measured(transforms, fleet(table, 100_000, targets))
    size = len(transforms.save()) / 100_000
    print(f"\ntransforms, 100,000 series x 20 selections, {targets:3} targets: first tick "
          f"{first:.1f} s, then {1000 * then:.0f} ms, {derived:,} derived, "
          f"{size:,.0f} B a series saved")  # fmt: skip
    assert then < 0.4


@pytest.mark.parametrize("targets", [1, 100])
def test_what_no_rule_selects(targets: int) -> None:
    """100,000 series: a quarter counters, a quarter values, half of them buckets."""
    table = SeriesTable(1_000_000)
    transforms = Transforms({}, table, Unruled({}))
    parts = [
        np.array([table.intern("", _name(n, t)) for n in range(100_000 // targets)], np.int32)
        for t in range(targets)
    ]
    first, then, derived = measured(transforms, parts)
    size = len(transforms.save()) / 100_000
    print(f"\nunruled, 100,000 series, {targets:3} targets: first tick {first:.1f} s, then "
          f"{1000 * then:.0f} ms, {derived:,} derived, {size:,.0f} B a series saved")  # fmt: skip
    assert then < 0.2


def _name(n: int, target: int) -> dict[str, str]:
    labels = {"instance": str(target), "path": str(n // 20)}
    match n % 20:
        case 0 | 1 | 2 | 3 | 4:
            return labels | {"__name__": f"m{n % 20}_total"}
        case 5 | 6 | 7 | 8 | 9:
            return labels | {"__name__": f"m{n % 20}_bytes"}
        case 19:
            return labels | {"__name__": "took_seconds_bucket", "le": "+Inf"}
        case other:
            return labels | {"__name__": "took_seconds_bucket", "le": str(2.0 ** (other - 15))}
