"""Anomalies explain themselves, keep their name while they last, and end in every case."""

import re

import msgspec
import numpy as np
import pytest

from aiopsd.detectors.absent import AbsentSettings
from aiopsd.detectors.band import BandSettings
from aiopsd.detectors.forecast import ForecastSettings
from aiopsd.detectors.novel import NovelSettings
from aiopsd.detectors.threshold import ThresholdSettings
from aiopsd.detectors.watch import RuleInfo, Watch, _service
from aiopsd.model import Anomaly, Batch, Labels
from aiopsd.settings import Duration

DASH = "\N{EN DASH}"
NAMES: dict[int, Labels] = {
    0: {"__name__": "x", "service": "checkout", "zone": "a"},
    1: {"service": "payments", "template": "boom <num>"},
    2: {"instance": "10.0.0.1", "mountpoint": "/"},
    3: {"client": "web", "server": "orders"},
}


def watch(settings: object, *, labels: dict[int, Labels] = NAMES, **info: object) -> Watch:
    base: dict[str, object] = {
        "id": "rule", "kind": "error-rate", "severity": "high", "entity": ("service",),
        "unit": "ratio", "title": "error ratio",
    }  # fmt: skip
    return Watch(RuleInfo(**{**base, **info}), settings, labels.__getitem__)  # type: ignore[arg-type]


def tick(one: Watch, time_s: float, *values: float, first: int = 0, **more: bool) -> list[Anomaly]:
    series = np.arange(first, first + len(values), dtype=np.int32)
    return one.observe(Batch("rule", time_s, series, np.array(values, float), **more))


def test_a_life() -> None:
    one = watch(BandSettings(floor=0.01, direction="up"))
    for t in range(40):
        assert tick(one, 1000.5 + t, 0.004) == []
    (opened,) = tick(one, 1040.5, 0.118)
    assert opened.title == f"error ratio checkout 11.8 %, expected 0{DASH}1.4 %"
    assert opened.id.startswith("rule/")
    assert opened.id.endswith("/1040")
    assert (opened.service, opened.entity) == ("checkout", {"service": "checkout"})
    assert opened.labels == {"service": "checkout", "zone": "a"}
    assert (opened.detector, opened.tier, opened.samples, opened.season) == (
        "band", "certain", 40, "none",
    )  # fmt: skip
    assert (opened.observed, opened.unit) == (0.118, "ratio")
    assert opened.recent[-2:] == (pytest.approx(0.004), pytest.approx(0.118))
    assert len(opened.recent) == 32
    tick(one, 1041.5, 0.004)
    (ended,) = tick(one, 1042.5, 0.004)
    assert (ended.id, ended.onset_s, ended.ended_s) == (opened.id, 1040.5, 1041.5)
    assert ended.title == opened.title  # not what it is now, but what was wrong


def test_a_forecast_says_in_its_title_when_that_will_be() -> None:
    random = np.random.default_rng(1)
    one = watch(ForecastSettings(limit=1.0), title="disk", entity=("mountpoint",))
    found: list[Anomaly] = []
    for minute, noise in enumerate(random.normal(0, 0.003, 600)):
        value = 0.7 + 0.02 * minute / 60 + noise
        found += tick(one, 1e9 + 60 * minute, 0.5, 0.5, value)
    pattern = r"disk / [\d.]+ %, reaches 100 % in ([3-9]) h( \d+ min)? \(.* to .*\)"
    assert re.fullmatch(pattern, found[-1].title), found[-1].title
    (full,) = tick(one, 1e9 + 36_000, 0.5, 0.5, 1.0)
    assert full.title == "disk / 100 %, has reached 100 %"


def test_names_are_stable_and_apart() -> None:
    found = []
    for _ in range(2):
        one = watch(ThresholdSettings(above=1))
        found.append([a.id for a in tick(one, 7.0, 2, 2)])
    assert found[0] == found[1]
    assert len(set(found[0])) == 2


@pytest.mark.parametrize(
    ("settings", "values", "title"),
    [
        (ThresholdSettings(above=0.05), [0.4], "error ratio checkout 40 %, limit 5 %"),
        (ThresholdSettings(below=0.1), [0.02], "error ratio checkout 2 %, limit 10 %"),
    ],
)
def test_titles_of_limits(settings: object, values: list[float], title: str) -> None:
    (found,) = tick(watch(settings), 1.0, *values)
    assert found.title == title
    assert msgspec.json.decode(msgspec.json.encode(found), type=Anomaly) == found


def test_title_of_what_is_absent() -> None:
    one = watch(AbsentSettings(after=Duration(30)), title="nothing heard of", unit="")
    for t in range(4):
        tick(one, t * 10.0, 12.0)
    found = [a for t in range(4, 9) for a in tick(one, t * 10.0)]
    assert [a.title for a in found] == ["nothing heard of checkout: no data, last value 12"]


def test_title_and_evidence_of_what_is_new() -> None:
    info = RuleInfo("new", "log-novelty", "low", ("service",), title="new error line")
    one = Watch(info, NovelSettings(), NAMES.__getitem__, lambda x: (f"a line of {x['template']}",))
    for t in range(25):
        tick(one, float(t))
    (found,) = tick(one, 25.0, 1.0, first=1)
    assert found.title == "new error line payments: boom <num>"
    assert found.evidence == ("a line of boom <num>",)
    assert found.tier == "certain"


def test_a_title_says_a_name_once_and_a_template_as_it_reads_by_now() -> None:
    labels = {0: {"service": "shop", "unit": "shop", "template": "no stock for anna"}}
    info = RuleInfo("new", "log-novelty", "low", ("service", "unit"), title="new error line")
    one = Watch(
        info,
        NovelSettings(learn_samples=2),
        labels.__getitem__,
        reads={"no stock for anna": "no stock for <*>"}.__getitem__,
    )
    for t in range(4):
        tick(one, float(t))
    (found,) = tick(one, 25.0, 1.0)
    assert found.title == "new error line shop: no stock for <*>"
    assert found.entity == {"service": "shop", "unit": "shop"}


@pytest.mark.parametrize(
    ("series", "entity", "service", "name"),
    [
        (2, ("instance", "mountpoint"), "10.0.0.1", "10.0.0.1 /"),
        (2, ("mountpoint",), "10.0.0.1", "/"),
        (3, ("server",), "orders", "orders"),
        (3, ("nothing",), "", ""),
    ],
)
def test_service_and_entity(series: int, entity: tuple[str, ...], service: str, name: str) -> None:
    one = watch(ThresholdSettings(above=1), entity=entity, title="load of", unit="")
    (found,) = tick(one, 1.0, 7.0, first=series)
    assert found.service == service
    assert found.title == f"load of {name} 7, limit 1".replace("  ", " ")


def test_a_title_tells_apart_what_the_rule_has_no_label_for() -> None:
    labels = [{"job": "node", "instance": f"{host}:9100", "zone": "z"} for host in "ab"]
    one = watch(ThresholdSettings(below=1), labels=dict(enumerate(labels)), title="ups", unit="")
    found = tick(one, 1.0, 0.0, 0.0)
    assert [a.title for a in found] == [f"ups node {host}:9100 0, limit 1" for host in "ab"]
    assert found[0].entity == {}, "what playbooks and fingerprints go by is as the rule says"


def test_every_anomaly_can_be_written_as_json() -> None:
    one = watch(ThresholdSettings(above=1))
    for values in ([1e300, -1e300], [np.nan, np.inf]):
        for found in tick(one, values[0], *values):
            assert msgspec.json.decode(msgspec.json.encode(found), type=Anomaly) == found


def test_a_series_that_is_forgotten_ends_what_it_had_open() -> None:
    labels = dict(NAMES)
    one = watch(ThresholdSettings(above=1), labels=labels)
    (opened,) = tick(one, 1.0, 2.0)
    del labels[0]  # the table has freed it
    one.forget(np.array([0], np.int32))
    assert tick(one, 2.0, history=True) == []
    (ended,) = tick(one, 3.0)
    assert (ended.id, ended.ended_s) == (opened.id, 3.0)
    assert ended.evidence == ("no data: the series is gone",)
    assert tick(one, 4.0) == []


def test_history_is_silent_and_then_told_at_once() -> None:
    one = watch(ThresholdSettings(above=1))
    assert tick(one, 1.0, 2.0, history=True) == []
    assert tick(one, 2.0, 2.0, history=True) == []
    (opened,) = tick(one, 3.0)
    assert opened.onset_s == 1.0


def test_what_the_journal_says_is_open_is_ended_with_its_numbers() -> None:
    one = watch(ThresholdSettings(above=1))
    (opened,) = tick(one, 1.0, 2.0)
    other = watch(ThresholdSettings(above=1))
    other.adopt(0, opened)
    tick(other, 2.0, 0.5)
    (ended,) = tick(other, 3.0, 0.5)
    assert ended == msgspec.structs.replace(opened, ended_s=2.0, recent=ended.recent)


def test_it_goes_on_where_it_was_saved() -> None:
    one = watch(BandSettings(floor=0.01))
    for t in range(40):
        tick(one, float(t), 0.004)
    (opened,) = tick(one, 40.0, 0.3)
    other = watch(BandSettings(floor=0.01))
    other.load(one.save())
    for t in (41.0, 42.0):
        assert tick(other, t, 0.004) == tick(one, t, 0.004)
    with pytest.raises(ValueError, match="saved state"):
        other.load(one.save() | {"open": b"garbage"})
    assert opened.ended_s is None


def test_a_rule_that_has_another_detector_by_now_starts_cold_and_ends_what_was_open() -> None:
    one = watch(ThresholdSettings(above=1))
    (opened,) = tick(one, 1.0, 2.0)
    other = watch(BandSettings())
    other.load(one.save())
    (ended,) = tick(other, 2.0, 2.0)
    assert (ended.id, ended.ended_s) == (opened.id, 2.0)


@pytest.mark.parametrize(
    ("entity", "labels", "service"),
    [
        ({"instance": "h1"}, {"instance": "h1", "job": "node"}, "h1"),  # a job is many hosts
        ({"server": "db"}, {"client": "api", "server": "db", "job": "mesh"}, "db"),
        ({"mountpoint": "/"}, {"mountpoint": "/", "instance": "h1"}, "h1"),
        ({"queue": "mail"}, {"queue": "mail"}, "mail"),
    ],
)
def test_the_entity_names_the_service(
    entity: dict[str, str], labels: dict[str, str], service: str
) -> None:
    assert _service(entity, labels) == service
