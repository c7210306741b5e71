"""How well detectors find what people marked as strange: ours and others', in the same run.

    AIOPSD_BENCH_DATA=../shared/bench make bench ARGS=tests/bench/test_bench_accuracy.py

One configuration for every file. ``NAB std`` is at the limit that is best for all files;
``own flag`` at the detector's own word; ``LOO`` at the limit that was best on all other categories.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from aiopsd.model import Floats
from aiopsd.offline.judging import judge
from tests.bench import accuracy, corpus
from tests.bench.accuracy import Flags, Said
from tests.bench.peers import PEERS


def ours(times_s: Floats, values: Floats) -> Said:
    judged = judge(times_s, values)

    def at(limit: float) -> Flags:
        own = limit == accuracy.OWN
        return judged.is_anomaly if own else np.asarray(judged.alert_score >= limit)

    return Said(judged.score, judged.alert_score, judged.is_anomaly, at, judged.is_certain)


DETECTORS = {"aiopsd": ours} | PEERS
WANTED = os.environ.get("AIOPSD_BENCH_DETECTORS", "")  # parts of names, with commas between


def test_accuracy_beside_others() -> None:
    corpus.require()
    wanted = {n: d for n, d in DETECTORS.items() if any(w in n for w in WANTED.split(","))}
    runs = {name: accuracy.run(detector, corpus.cases()) for name, detector in wanted.items()}
    names = dict.fromkeys(case.corpus for case in corpus.cases())
    found = {}
    for one in names:
        print(f"\n{accuracy.head(one)}")
        for name, run in runs.items():
            found[one, name] = accuracy.figures([j for j in run.judged if j.case.corpus == one])
            print(accuracy.row(name, found[one, name]), flush=True)
    _tell(runs, found)
    for one in names if "aiopsd" in wanted else ():
        others = [figures for (where, n), figures in found.items() if where == one and n in PEERS]
        mine = found[one, "aiopsd"]
        assert mine["vus_pr"] > max((it["vus_pr"] for it in others), default=0.0), one
        assert mine["fa_day"] < min((it["fa_day"] for it in others), default=1.0), one


def _tell(runs: dict[str, accuracy.Run], found: dict[tuple[str, str], dict[str, float]]) -> None:
    print("\n| | points/s on one core |\n|---|---|")
    for name, run in runs.items():
        print(f"| {name:30} | {run.points_per_s:9,.0f} |")
    for (one, _), figures in found.items():
        if "certain_hits" in figures:
            hits, false = figures["certain_hits"], figures["certain_fa_day"]
            print(f"{one}: certain alone sees {hits:.0f} events, {false:.4f} false alarms a day")
    if "AIOPSD_BENCH_JSON" in os.environ:
        rows = [{"corpus": one, "name": name, **figures} for (one, name), figures in found.items()]
        Path(os.environ["AIOPSD_BENCH_JSON"]).write_text(json.dumps(rows, indent=1))


@pytest.mark.parametrize("ticks", [20])
def test_naive_way_tick_by_tick(ticks: int) -> None:
    """Samples a second when each answer becomes metric objects, and river takes them singly."""
    import time

    from prometheus_api_client import MetricsList
    from river import anomaly

    series, scorers = 200, {}
    begun = time.process_time()
    for tick in range(ticks):
        answer = [{"metric": {"__name__": "m", "i": str(i)}, "value": [1e9 + 15 * tick, str(i)]}
                  for i in range(series)]  # fmt: skip
        for metric in MetricsList(answer):
            scorer = scorers.setdefault(str(metric.label_config), anomaly.GaussianScorer())
            value = float(metric.metric_values["y"].iloc[0])
            scorer.score_one(None, value)
            scorer.learn_one(None, value)
    rate = series * ticks / (time.process_time() - begun)
    print(f"\nnaive way, tick by tick: {rate:,.0f} samples/s on one core")
    assert rate > 0
