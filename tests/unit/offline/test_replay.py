"""Rules over a history that a loopback Prometheus has: what they would have said."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from yarl import URL

from aiopsd.config import Config, load
from aiopsd.errors import ConfigError, Unreachable
from aiopsd.offline import history
from aiopsd.offline.history import portions
from aiopsd.offline.life import Life, Window
from aiopsd.offline.replay import Report, chosen, replay
from aiopsd.sources.fetch import Fetcher
from aiopsd.sources.prometheus_api import PrometheusApi
from aiopsd.sources.prometheus_rule import Grid
from tests.loopback.prometheus import ReplayPrometheus

HOUR = 3600.0
START_S = 1_700_006_400.0
WINDOW = Window(START_S, START_S + 2 * HOUR, START_S + 12 * HOUR)
SERVICES = {"web": (3.0, 0.5), "api": (3.05, 0.5), "db": (9.0, 0.1), "job": (1.0, 0.2)}
"""When each has errors, in hours since START_S, and for how long."""
RULES = """
pack: shop
rules:
  - {id: errors, promql: errors, every: 1m, detector: {type: threshold, above: 5}, title: errors}
  - {id: usual, promql: load, every: 1m, detector: {type: band}, severity: info}
  - {id: gone, promql: alive, every: 1m, detector: {type: absent, after: 5m}}
  - {id: broken, promql: "sum((", every: 1m, detector: {type: band}}
  - {id: streamed, select: lines, by: [service], detector: {type: band}}
  - {id: calls, promql: calls, every: 1m, detector: {type: threshold, above: 99}, entity: [server]}
  - {id: release, promql: build, change: {label: version}}
"""


def evaluate(query: str, time_s: float) -> Iterator[tuple[dict[str, str], float]]:
    hours = (time_s - START_S) / HOUR
    if query == "errors":
        for service, (since, lasts) in SERVICES.items():
            yield {"service": service}, 50.0 if since <= hours < since + lasts else 0.0
    elif query == "calls":
        yield {"client": "web", "server": "api"}, 1.0
    elif query == "load":
        yield {"service": "web"}, 100 + math.sin(time_s) * 5 + (900 if 7 <= hours < 7.2 else 0)
    elif query == "alive" and not 5 <= hours < 5.5 and not 8 <= hours < 9:
        yield {"service": "web"}, 1.0
    elif query == "count(up)" and not 8 <= hours < 9:
        yield {}, 3.0


@pytest.fixture
async def prometheus() -> AsyncIterator[ReplayPrometheus]:
    async with ReplayPrometheus() as server:
        server.answer_from(evaluate)
        yield server


@pytest.fixture
def config(prometheus: ReplayPrometheus, tmp_path: Path) -> Config:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "shop.yaml").write_text(RULES)
    path = tmp_path / "aiopsd.yaml"
    path.write_text(
        f"sources:\n  prom: {{type: prometheus, url: '{prometheus.url}'}}\n"
        "  app: {type: scrape, targets: ['http://127.0.0.1:1/metrics']}\n"
        "topology: {web: [api]}\n"
    )
    return load(path)


async def replayed(config: Config, *wanted: str, window: Window = WINDOW) -> Report:
    rules = chosen(config, wanted)
    return await replay(config, rules, window, lambda: WINDOW.end_s, lambda _rule, _share: None)


async def test_what_would_have_fired(config: Config) -> None:
    (report,) = (await replayed(config, "errors")).rules
    assert report.counts is not None
    assert report.series == 4
    assert report.ticks == pytest.approx(600, abs=1)
    counts = report.counts
    assert (counts.certain, counts.suspicious) == (3, 0)  # that of `job` was while it learned
    assert sorted(one.labels["service"] for one in counts.noisiest) == ["api", "db", "web"]
    assert counts.longest_secs == pytest.approx(1800, abs=60)
    assert report.strange_share == pytest.approx(1.1 / 40, rel=0.1)
    first = counts.examples[0]
    assert first.onset_s == pytest.approx(START_S + 3 * HOUR, abs=60)
    assert first.title == "errors web 50, limit 5"


async def test_incidents_by_place_and_time(config: Config) -> None:
    """web and its callee together, db by itself hours later; what is resolved is over."""
    incidents = (await replayed(config, "errors")).incidents
    assert incidents is not None
    assert [set(one.services) for one in incidents] == [{"web", "api"}, {"db"}]
    assert all(one.closed for one in incidents)
    assert incidents[1].onset_s == pytest.approx(START_S + 9 * HOUR, abs=60)


async def test_who_calls_whom_is_learned_from_labels(config: Config) -> None:
    text = config.path.read_text()
    config.path.write_text(text.replace("topology: {web: [api]}", "topology: {}"))
    apart = (await replayed(load(config.path), "errors")).incidents
    assert apart is not None
    assert [one.services for one in apart] == [("web",), ("api",), ("db",)]
    together = (await replayed(load(config.path), "errors", "calls")).incidents
    assert together is not None
    assert [set(one.services) for one in together] == [{"web", "api"}, {"db"}]


async def test_a_band_learns_first(config: Config) -> None:
    (report,) = (await replayed(config, "usual")).rules
    assert report.counts is not None
    assert [round((one.onset_s - START_S) / HOUR) for one in report.counts.examples] == [7]


async def test_absent_knows_when_the_server_was_away(config: Config) -> None:
    (report,) = (await replayed(config, "gone")).rules
    assert report.counts is not None
    assert (report.counts.certain, report.counts.longest_secs) == (1, pytest.approx(1500, abs=120))


async def test_a_rule_in_trouble_stops_no_other(
    config: Config, prometheus: ReplayPrometheus
) -> None:
    def refusing(query: str, time_s: float) -> Iterator[tuple[dict[str, str], float]]:
        if query == "sum((":
            raise_bad_data()
        return evaluate(query, time_s)

    prometheus.answer_from(refusing)
    reports = {one.rule: one for one in (await replayed(config)).rules}
    assert reports["broken"].trouble.startswith("refused: ")
    assert (reports["streamed"].trouble, reports["streamed"].series) == ("", 0)
    assert "changes" in reports["release"].trouble
    assert all(reports[rule].counts for rule in ("errors", "usual", "gone"))


def raise_bad_data() -> None:
    from tests.loopback.prometheus import BadData

    raise BadData('invalid parameter "query": 1:6: parse error: unclosed left parenthesis')


async def test_portions_change_nothing(
    config: Config, prometheus: ReplayPrometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await replayed(config, "errors", "gone", "usual")
    monkeypatch.setattr(history, "FIRST_TICKS", 7)
    monkeypatch.setattr(history, "POINTS", 50)
    before = len(prometheus.asked("/query_range"))
    assert await replayed(config, "errors", "gone", "usual") == whole
    assert len(prometheus.asked("/query_range")) - before > 60


async def test_a_stretch_says_what_its_ticks_say(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = await replayed(config, "usual")
    monkeypatch.setattr(Life, "_at_once", lambda *_: None)
    assert await replayed(config, "usual") == at_once


async def test_too_much_at_once_is_asked_for_in_less(
    config: Config, prometheus: ReplayPrometheus
) -> None:
    whole = await replayed(config, "errors")
    prometheus.fail_next(503, "too busy", times=2, on="/query_range")
    assert await replayed(config, "errors") == whole


async def test_nobody_there(config: Config, prometheus: ReplayPrometheus) -> None:
    async with prometheus.away():
        with pytest.raises(Unreachable, match="source prom: connection refused"):
            await replayed(config, "errors")


def test_unknown_rules_and_no_source(config: Config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no rule 'erors'.*there are: errors, usual"):
        chosen(config, ["erors"])
    assert [rule.id for rule in chosen(config, ["gone", "gone", "errors"])] == ["gone", "errors"]
    path = tmp_path / "other.yaml"
    path.write_text("rules: none\nsources: {app: {type: scrape, targets: ['http://a:1/m']}}\n")
    (tmp_path / "none").mkdir()
    with pytest.raises(ConfigError, match="no source of type prometheus"):
        chosen(load(path), [])


async def test_every_tick_once_in_order(prometheus: ReplayPrometheus) -> None:
    grid = Grid.of("errors", 60.0)
    async with Fetcher(timeout_secs=10, max_body_bytes=10**7) as fetcher:
        api = PrometheusApi(fetcher, URL(prometheus.url))
        found = [one async for one in portions(api, "load", grid, START_S, START_S + 10 * HOUR)]
    times_ms = [round(1000 * t) for one in found for t in one.times_s.tolist()]
    assert times_ms[0] > 1000 * START_S
    assert times_ms == list(range(times_ms[0], grid.at_or_before(START_S + 10 * HOUR) + 1, 60_000))
    assert all(one.filled.all() for one in found)
