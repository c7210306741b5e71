"""Raw buckets of several targets become the shape that ``drift`` judges."""

from __future__ import annotations

import numpy as np

from aiopsd.detectors.drift import DriftSettings
from aiopsd.model import Batch
from aiopsd.series import SeriesTable
from aiopsd.settings import Duration
from aiopsd.transforms import Transforms, compile_selection

EVERY_SECS, WINDOW_SECS = 100.0, 300.0
BOUNDS = ("0.1", "0.5", "1", "+Inf")
USUAL, SLOW = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.2, 0.3, 0.3, 0.2])


def test_a_shape_that_changes_is_seen_though_every_target_brings_its_part() -> None:
    table, random, strange = SeriesTable(), np.random.default_rng(5), {}
    selection = compile_selection("took_bucket", "delta", ("service", "le"), None, WINDOW_SECS)
    transforms = Transforms({"shape": selection}, table)
    drift = DriftSettings(window=Duration(WINDOW_SECS)).build(table.labels)
    names = [
        [{"__name__": "took_bucket", "service": "api", "le": le, "pod": pod} for le in BOUNDS]
        for pod in "abc"
    ]
    series = [np.array([table.intern("", one) for one in each], np.int32) for each in names]
    totals = np.zeros((3, len(BOUNDS)))
    ticks = int(36 * 3600 / EVERY_SECS)
    for tick in range(ticks):
        shape = SLOW if tick > ticks * 5 // 6 else USUAL
        for pod in range(3):
            totals[pod] += np.cumsum(random.multinomial(50, shape))
            now_s = EVERY_SECS * tick + 5 * pod
            for out in transforms.feed(Batch("", now_s, series[pod], totals[pod].copy())):
                assert len(out.series) in (0, len(BOUNDS)), "the whole shape, or nothing"
                scores = drift.observe(out)
                strange[out.time_s] = bool((scores.score >= 0.5).any())
    begun_s = EVERY_SECS * ticks * 5 / 6
    before = [flag for time_s, flag in strange.items() if time_s < begun_s]
    after = [flag for time_s, flag in strange.items() if time_s > begun_s + 3 * WINDOW_SECS]
    assert len(strange) >= ticks - 5, "once a tick"
    assert not any(before)
    assert all(after[5:100])
