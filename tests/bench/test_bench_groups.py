"""``step``, ``peer`` and ``halfspace``: how quiet on quiet series, how soon they see, how fast.

``make bench`` prints the tables; the bounds are far from what a quiet machine reaches.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aiopsd.detectors.halfspace import HalfspaceSettings
from aiopsd.detectors.peer import PeerSettings
from aiopsd.detectors.step import StepSettings
from aiopsd.model import Batch
from tests.bench import corpus

DAY = 86400.0
SIZE = 8  # members of a group
EVERY = 300.0
MEMBERS: dict[str, Any] = {
    "step": StepSettings(),
    "step adwin": StepSettings(method="adwin"),
    "peer": PeerSettings(),
    "halfspace": HalfspaceSettings(),
}


def _ar(random: np.random.Generator, ticks: int, n: int) -> np.ndarray:
    shocks, values = random.standard_normal((ticks, n)), np.zeros((ticks, n))
    for t in range(1, ticks):
        values[t] = 0.9 * values[t - 1] + shocks[t]
    return 100 + 5 * values


def _daily(random: np.random.Generator, ticks: int, n: int) -> np.ndarray:
    phase = np.repeat(random.random(n // SIZE), SIZE)
    day = np.sin(2 * np.pi * (np.arange(ticks)[:, None] * EVERY / DAY + phase))
    return 100 + 30 * day + 5 * random.standard_normal((ticks, n))


QUIET: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "gaussian": lambda random, t, n: 100 + 10 * random.standard_normal((t, n)),
    "t3": lambda random, t, n: 100 + 10 * random.standard_t(3, (t, n)),
    "ar 0.9": _ar,
    "daily": _daily,
}


def build(member: str) -> Any:
    return MEMBERS[member].build(lambda index: {"service": str(index // SIZE)})


def observed(member: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strange and certain, ``[ticks, n]``."""
    one, series = build(member), np.arange(values.shape[1], dtype=np.int32)
    found = np.zeros((2, *values.shape), bool)
    for n, row in enumerate(values):
        scores = one.observe(Batch("r", 20_000 * DAY + n * EVERY, series, row))
        found[:, n, :] = scores.score >= 0.5, scores.certain
    return found[0], found[1]


def begun(flags: np.ndarray) -> int:
    return int((flags[1:] & ~flags[:-1]).sum())


@pytest.mark.parametrize("member", MEMBERS)
def test_quiet_series_are_quiet(member: str) -> None:
    """After a first day: at most one certain stretch in 1000 series-days, and few others."""
    days, n = 15, 10 * SIZE
    day = int(DAY / EVERY)
    print(f"\n{member}, every {EVERY:.0f} s   per 1000 series-days: certain, suspicious")
    for kind, make in QUIET.items():
        strange, certain = observed(member, make(np.random.default_rng(7), days * day, n))
        per = 1000 / ((days - 1) * n)
        print(f"  {kind:10} {begun(certain[day:]) * per:8.2f} {begun(strange[day:]) * per:8.1f}")
        assert begun(certain[day:]) * per <= 1.5, kind


@pytest.mark.parametrize("member", MEMBERS)
def test_faults_are_seen(member: str) -> None:
    """One series of each group moves for good: the share seen within 60 ticks, and how soon."""
    print(f"\n{member}: seen, certain, ticks until seen")
    warm, n, seen = 1000, 25 * SIZE, {}
    for sigmas in (1, 2, 5, 8, 12):
        values = np.random.default_rng(8).standard_normal((warm + 60, n)) + 20
        values += 3 * np.repeat(np.random.default_rng(9).standard_normal((warm + 60, 25)), SIZE, 1)
        if member.startswith("step"):
            values = np.random.default_rng(8).standard_normal((warm + 60, n)) + 20
        values[warm:, ::SIZE] += sigmas
        strange, certain = (flags[warm:, ::SIZE] for flags in observed(member, values))
        seen[sigmas] = strange.any(axis=0).mean()
        first = np.argmax(strange, axis=0)[strange.any(axis=0)]
        soon = f"{np.median(first):5.0f}" if len(first) else "    -"
        print(f"  {sigmas:2} sigmas {seen[sigmas]:6.2f} {certain.any(axis=0).mean():6.2f} {soon}")
    assert seen[12] > 0.9


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("n", [80, 800, 80_000])
def test_speed(member: str, n: int) -> None:
    """ADWIN and the matrices of ``halfspace`` are for hundreds or thousands of series."""
    if n > 800 and member in ("step adwin", "halfspace"):
        pytest.skip("not what it is for")
    random = np.random.default_rng(9)
    one, series = build(member), np.arange(n, dtype=np.int32)
    rows = [100 + 10 * random.standard_normal(n) for _ in range(8)]
    for t in range(140 if n <= 800 else 40):
        one.observe(Batch("r", 1e9 + t * 15, series, rows[t % 8]))
    ticks, start = (5, 200) if n > 800 else (100, 200)
    begin = time.perf_counter()
    for t in range(start, start + ticks):
        one.observe(Batch("r", 1e9 + t * 15, series, rows[t % 8]))
    secs = (time.perf_counter() - begin) / ticks
    size = len(one.save()) / n
    print(f"\n{member} {n:6,} series: {1000 * secs:7.2f} ms a tick, {n / secs:10,.0f} samples/s, "
          f"{size:,.0f} B a series saved")  # fmt: skip
    assert n / secs > 3_000


def test_halfspace_on_labelled_servers() -> None:
    """Six servers of 19 metrics, one group each, beside river's HalfSpaceTrees on the same."""
    corpus.require()
    servers = [one for one in corpus.cases() if one.corpus == "asd"]
    found = {"halfspace": _ours(servers), "river HalfSpaceTrees": _river(servers)}
    print("\n                      event F1, false alarms a server-day, VUS-PR")
    results = {}
    for name, (score, flag) in found.items():
        results[name] = one = _evaluate(servers, score, flag)
        print(f"{name:21} {one['ev_f1']:8.3f} {one['fa_day']:8.3f} {one['vus_pr']:8.3f}")
    assert results["halfspace"]["vus_pr"] > results["river HalfSpaceTrees"]["vus_pr"] + 0.2


def _ours(servers: list[corpus.Case]) -> tuple[np.ndarray, np.ndarray]:
    """A round is judged with the first sample of the next."""
    wide = servers[0].values.shape[1]
    one = HalfspaceSettings().build(lambda index: {"service": str(index // wide)})
    values = np.concatenate([case.values for case in servers], axis=1)
    series = np.arange(values.shape[1], dtype=np.int32)
    score = np.zeros((len(values), len(servers)))
    for n, (time_s, row) in enumerate(zip(servers[0].times_s, values, strict=True)):
        scores = one.observe(Batch("r", float(time_s), series, row))
        score[max(n - 1, 0)] = scores.score.reshape(len(servers), wide).max(axis=1)
    return score, score >= 0.5


def _river(servers: list[corpus.Case]) -> tuple[np.ndarray, np.ndarray]:
    anomaly = pytest.importorskip("river.anomaly")
    scaling = pytest.importorskip("river.preprocessing")
    score = np.zeros((len(servers[0].values), len(servers)))
    flag = np.zeros(score.shape, bool)
    for n, case in enumerate(servers):
        model = scaling.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=42)
        judge = anomaly.QuantileFilter(model, q=0.995)
        for t, row in enumerate(case.values.tolist()):
            x = dict(enumerate(row))
            score[t, n] = judge.score_one(x)
            flag[t, n] = judge.classify(score[t, n])
            judge.learn_one(x)
    return score, flag


def _evaluate(servers: list[corpus.Case], score: np.ndarray, flag: np.ndarray) -> dict[str, float]:
    pandas = pytest.importorskip("pandas")
    scoring = corpus.scorer()
    judged = [
        scoring.load(
            corpus.FOLDER / "data", case.name, case.label,
            pandas.DataFrame({"score": score[:, n], "is_anomaly": flag[:, n].astype(int)}), None,
        )
        for n, case in enumerate(servers)
    ]  # fmt: skip
    found: dict[str, float] = scoring.evaluate(judged, True)
    return found
