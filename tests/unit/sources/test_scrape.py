"""The scrape source against targets that expose, misbehave, stall and go away."""

from __future__ import annotations

import asyncio
import gzip
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from aiopsd.document import parse
from aiopsd.model import Batch, Labels
from aiopsd.series import SeriesTable
from aiopsd.settings import Duration, Reader, SecretFile
from aiopsd.sources import SourceSettings
from aiopsd.sources.scrape import ScrapeSettings, ScrapeSource, Target
from tests.loopback.faults import Answer
from tests.loopback.recording import Recording
from tests.loopback.server import Call, LoopbackServer, Route
from tests.unit.sources.witness import Readings, Witness, read

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
EVERY = Duration(0.4)


class Exporter(LoopbackServer):
    """A target whose /metrics a test writes; /moved sends there."""

    def __init__(self, body: str = "shop_orders 1\n", content_type: str = TEXT) -> None:
        super().__init__()
        self.body = body
        self.content_type = content_type

    def routes(self) -> Sequence[Route]:
        return [("GET", "/metrics", self._metrics), ("GET", "/moved", self._moved)]

    def _metrics(self, _call: Call) -> web.Response:
        headers = {"Content-Type": self.content_type}
        return web.Response(body=self.body.encode(), headers=headers)

    def _moved(self, _call: Call) -> web.Response:
        return web.Response(status=307, headers={"Location": "/metrics"})

    @property
    def target(self) -> str:
        return f"{self.url}/metrics"

    @property
    def instance(self) -> str:
        return f"127.0.0.1:{self.port}"


@pytest.fixture
async def exporter() -> AsyncIterator[Exporter]:
    async with Exporter() as one:
        yield one


def build(witness: Witness, *targets: str | Target, **settings: Any) -> ScrapeSource:
    settings = {"every": EVERY, "timeout": EVERY, **settings}
    return ScrapeSettings(targets=targets, **settings).build(witness.context("scrape"))


def value_of(witness: Witness, batch: Batch, name: str) -> float:
    return next(v for labels, v in witness.named(batch) if labels["__name__"] == name)


def ups(witness: Witness, readings: Readings) -> list[float]:
    return [value_of(witness, batch, "up") for batch in readings.batches("")]


async def first(witness: Witness, source: ScrapeSource) -> list[tuple[Labels, float]]:
    async with read(source) as readings:
        await readings.until(lambda: readings.all)
    return witness.named(readings.batches("")[0])


async def test_a_scrape_is_one_raw_batch(exporter: Exporter) -> None:
    witness = Witness()
    async with read(build(witness, exporter.target)) as readings:
        await readings.until(lambda: len(readings.all) >= 3)
    batch = readings.batches("")[0]
    assert readings.all[0].position == {"time": batch.time_s}
    up, took, orders = witness.named(batch)
    assert up == ({"__name__": "up", "instance": exporter.instance}, 1)
    assert took[0] == {"__name__": "scrape_duration_seconds", "instance": exporter.instance}
    assert 0 < took[1] < 60
    assert orders == ({"__name__": "shop_orders", "instance": exporter.instance}, 1)
    assert witness.edges == []


async def test_values_follow_the_target(exporter: Exporter) -> None:
    witness = Witness()
    async with read(build(witness, exporter.target)) as readings:
        await readings.until(lambda: readings.all)
        exporter.body = "shop_orders 7\nshop_new 1"
        await readings.until(
            lambda: value_of(witness, readings.batches("")[-1], "shop_orders") == 7
        )
    last = readings.batches("")[-1]
    assert value_of(witness, last, "shop_new") == 1
    ticks = [batch.time_s for batch in readings.batches("")]
    assert ticks == sorted(ticks)
    assert len(witness.table) == 4


@pytest.mark.parametrize("name", ["metrics_text_node_exporter", "metrics_openmetrics_app"])
async def test_recordings(exporter: Exporter, name: str) -> None:
    reply = Recording.load(f"prometheus/{name}").reply
    exporter.body, exporter.content_type = reply.body, reply.content_type
    witness = Witness()
    async with read(build(witness, exporter.target)) as readings:
        await readings.until(lambda: len(readings.all) >= 2)
    lines = [line for line in reply.body.splitlines() if line and not line.startswith("#")]
    for batch in readings.batches(""):
        assert len(batch.series) == len(lines) + 2
    assert witness.counts == {}
    assert witness.edges == []


async def test_labels_of_the_target_win(exporter: Exporter) -> None:
    exporter.body = 'a{instance="inner",exported_instance="other",x="1"} 1\nb{service="theirs"} 2\n'
    target = Target(url=exporter.target, labels={"service": "shop"})
    witness = Witness()
    samples = await first(witness, build(witness, target))
    own = {"instance": exporter.instance, "service": "shop"}
    assert samples[2:] == [
        (
            {
                "__name__": "a",
                "exported_exported_instance": "inner",
                "exported_instance": "other",
                "x": "1",
                **own,
            },
            1,
        ),
        ({"__name__": "b", "exported_service": "theirs", **own}, 2),
    ]
    assert samples[0] == ({"__name__": "up", **own}, 1)


async def test_instance_may_be_named(exporter: Exporter) -> None:
    witness = Witness()
    target = Target(url=exporter.target, labels={"instance": "till-1"})
    samples = await first(witness, build(witness, target))
    assert {labels["instance"] for labels, _ in samples} == {"till-1"}


async def test_prefers_what_prometheus_prefers(exporter: Exporter) -> None:
    await first(witness := Witness(), build(witness, exporter.target))
    assert exporter.calls[0].headers["Accept"].startswith("application/openmetrics-text;")


async def test_token(exporter: Exporter, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    witness = Witness(base=tmp_path)
    await first(witness, build(witness, exporter.target, token_file=SecretFile("token")))
    assert exporter.calls[0].headers["Authorization"] == "Bearer s3cret"


async def test_redirect_within_the_target_is_followed(exporter: Exporter) -> None:
    witness = Witness()
    samples = await first(witness, build(witness, f"{exporter.url}/moved"))
    assert len(samples) == 3


# --- trouble ------------------------------------------------------------------------------


def flood(exporter: Exporter) -> None:
    async def pour(request: web.Request, _answer: Answer) -> web.StreamResponse:
        endless = web.StreamResponse(headers={"Content-Type": TEXT})
        await endless.prepare(request)
        for _ in range(100):
            await endless.write(b"filler 1\n" * 2**17)
        return endless

    exporter.plan(pour, 1, "")


def bomb(exporter: Exporter) -> None:
    body = gzip.compress(b"filler 1\n" * 2**20)
    exporter.fail_next(200, body, {"Content-Type": TEXT, "Content-Encoding": "gzip"})


def endless(exporter: Exporter) -> None:
    async def drip(request: web.Request, _answer: Answer) -> web.StreamResponse:
        slow = web.StreamResponse(headers={"Content-Type": TEXT})
        await slow.prepare(request)
        while True:
            await slow.write(b"a 1\n")
            await asyncio.sleep(0.02)

    exporter.plan(drip, 1, "")


def elsewhere(exporter: Exporter) -> None:
    exporter.fail_next(302, "", {"Location": "http://u:s3cret@login.example/sso?t=s3cret"})


TROUBLE: Mapping[str, tuple[Callable[[Exporter], None], str]] = {
    "500": (lambda e: e.fail_next(500, "boom"), "status 500: boom"),
    "401": (lambda e: e.fail_next(401, "who?"), "status 401: who?"),
    "web page": (lambda e: e.html_next(), "status 200: a web page"),
    "cut off": (lambda e: e.truncate_next(), "its answer was cut off"),
    "hung": (lambda e: e.hang_next(30), "no answer within 0.4 s"),
    "slow drops": (endless, "no answer within 0.4 s"),
    "hung up": (lambda e: e.lose_answer_next(times=2), "hung up without an answer"),
    "flood": (flood, "larger than 300,000 bytes"),
    "gzip bomb": (bomb, "larger than 300,000 bytes"),
    "elsewhere": (elsewhere, "redirects to http://login.example/sso;"),
    "in a circle": (
        lambda e: e.fail_next(302, "", {"Location": "/metrics"}, times=4),
        "redirects in a circle",
    ),
    "no metrics": (lambda e: e.fail_next(200, '{"a": 1}'), "answers no metrics: line 1: "),
}


@pytest.mark.parametrize("how", TROUBLE)
async def test_down_with_its_reason_then_up(
    exporter: Exporter, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    misbehave, words = TROUBLE[how]
    witness, part = Witness(), f"scrape/{exporter.instance}"
    async with read(build(witness, exporter.target, max_body_bytes=300_000)) as readings:
        await readings.until(lambda: readings.all)
        misbehave(exporter)
        await readings.until(lambda: 0 in ups(witness, readings))
        await readings.until(lambda: ups(witness, readings)[-1] == 1)
    assert witness.edges == [("gone", part), ("back", part)]
    assert words in witness.reasons[part]
    assert "s3cret" not in witness.reasons[part] + caplog.text
    down = next(b for b in readings.batches("") if value_of(witness, b, "up") == 0)
    assert len(down.series) == 2


async def test_away_is_told_once(exporter: Exporter) -> None:
    witness, part = Witness(), f"scrape/{exporter.instance}"
    async with read(build(witness, exporter.target)) as readings:
        async with exporter.away():
            await readings.until(lambda: ups(witness, readings).count(0) >= 3)
        await readings.until(lambda: ups(witness, readings)[-1] == 1)
    assert witness.edges == [("gone", part), ("back", part)]
    assert witness.reasons[part] == "connection refused"


async def test_openmetrics_without_its_end_is_cut_off(exporter: Exporter) -> None:
    exporter.content_type = OPENMETRICS
    witness = Witness()
    async with read(build(witness, exporter.target)) as readings:
        await readings.until(lambda: readings.all)
        exporter.body += "# EOF\n"
        await readings.until(lambda: ups(witness, readings)[-1] == 1)
    assert ups(witness, readings)[0] == 0
    assert "no `# EOF`" in witness.reasons[f"scrape/{exporter.instance}"]


async def test_one_target_does_not_wait_for_another(exporter: Exporter) -> None:
    async with Exporter() as slow:
        witness = Witness()
        slow.hang_next(30, times=99)
        source = build(witness, exporter.target, slow.target, every=Duration(1), timeout=None)
        async with read(source) as readings:

            def of(one: Exporter) -> list[Batch]:
                return [
                    batch
                    for batch in readings.batches("")
                    if witness.named(batch)[0][0]["instance"] == one.instance
                ]

            await readings.until(lambda: of(exporter) and of(slow))
        assert witness.is_gone(f"scrape/{slow.instance}")
        assert {value_of(witness, batch, "up") for batch in of(exporter)} == {1}
        assert {value_of(witness, batch, "up") for batch in of(slow)} == {0}
        assert value_of(witness, of(slow)[0], "scrape_duration_seconds") >= 0.9


async def test_bad_lines_are_counted_and_the_first_is_named_once(
    exporter: Exporter, caplog: pytest.LogCaptureFixture
) -> None:
    exporter.body = "a 1\nb one\nc 3\nd four\n"
    witness = Witness()
    async with read(build(witness, exporter.target)) as readings:
        await readings.until(lambda: len(readings.all) >= 3)
        exporter.body = "a 1\n"
        seen = len(readings.all)
        await readings.until(lambda: len(readings.all) >= seen + 2)
    assert len(readings.batches("")[0].series) == 4
    assert witness.counts["bad_lines"] >= 4
    assert witness.edges == []
    assert caplog.text.count("bad_lines=2 line 2: ") == 1


async def test_a_series_that_comes_twice_counts_once(exporter: Exporter) -> None:
    exporter.body = 'a{x="1",y="2"} 1\na{y="2",x="1"} 2\nb 3\n'
    witness = Witness()
    samples = await first(witness, build(witness, exporter.target))
    assert [value for labels, value in samples if labels["__name__"] in "ab"] == [1, 3]
    assert witness.counts["duplicate_samples"] >= 1


async def test_labels_longer_than_any_name(
    exporter: Exporter, caplog: pytest.LogCaptureFixture
) -> None:
    exporter.body = f'good 1\nlong{{text="{"x" * 70_000}"}} 1\n'
    witness = Witness()
    async with read(build(witness, exporter.target)) as readings:
        await readings.until(lambda: len(readings.all) >= 2)
    names = {labels["__name__"] for labels, _ in witness.named(readings.batches("")[-1])}
    assert names == {"good", "up", "scrape_duration_seconds"}
    assert witness.counts["bad_lines"] >= 2
    assert caplog.text.count("labels of more than 65,536 bytes: 'long{text=") == 1
    assert len(caplog.text) < 1000


async def test_a_full_table_takes_what_it_can(exporter: Exporter) -> None:
    exporter.body = "a 1\nb 2\nc 3\n"
    witness = Witness(table=SeriesTable(limit=3))
    async with read(build(witness, exporter.target)) as readings:
        await readings.until(lambda: len(readings.all) >= 2)
    for batch in readings.batches(""):
        assert len(batch.series) == 3
    assert witness.counts["duplicate_samples"] == 0


async def test_series_are_interned_anew_once_in_a_while(exporter: Exporter) -> None:
    """So that an index which the table has given to another is not used for long."""
    now_s = 1_800_000_000.0

    def clock() -> float:
        nonlocal now_s
        now_s += 0.05
        return now_s

    witness = Witness(clock=clock)
    async with read(build(witness, exporter.target)) as readings:
        await readings.until(lambda: readings.all)
        while len(witness.table):  # what was in use lately is left alone for some time
            witness.table.expire(math.inf)
        now_s += 300
        seen = len(readings.all)
        await readings.until(lambda: len(readings.all) > seen)
    assert value_of(witness, readings.batches("")[-1], "shop_orders") == 1


async def test_special_values_pass(exporter: Exporter) -> None:
    exporter.body = "a NaN\nb +Inf\n"
    witness = Witness()
    found = await first(witness, build(witness, exporter.target))
    samples = {labels["__name__"]: value for labels, value in found}
    assert math.isnan(samples["a"])
    assert samples["b"] == math.inf


# --- settings -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"targets": ()}, "`targets` is empty"),
        ({"targets": ("localhost:9100",)}, "must be like http://"),
        ({"targets": ("http://a/metrics", "http://a:80/other")}, "two targets are called a:80"),
        ({"every": Duration(0)}, "more than nothing"),
        ({"timeout": Duration(9)}, "at most `every: 5s`"),
        ({"max_body_bytes": 0}, "more than nothing"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=r"targets|must") as error:
        ScrapeSettings(**{"targets": ("http://a/",), **settings})
    assert sentence in str(error.value)


@pytest.mark.parametrize("labels", [{"__x": "a"}, {"a-b": "c"}, {"a": ""}])
def test_wrong_labels_of_a_target(labels: Labels) -> None:
    with pytest.raises(ValueError, match="not a label of a target"):
        Target(url="http://a/", labels=labels)


def test_the_same_address_twice_with_other_labels() -> None:
    targets = tuple(Target(url="http://a/", labels={"shard": n}) for n in "12")
    assert len(ScrapeSettings(targets=targets).known) == 2


def test_as_people_write_it() -> None:
    document = parse(
        """
        tills:
          type: scrape
          every: 10s
          targets:
            - http://10.0.0.1:9100/metrics
            - {url: "http://10.0.0.2:9100/metrics", labels: {service: till}}
        """,
        "aiopsd.yaml",
    )
    read_settings = Reader(document).read(dict[str, SourceSettings], document.data)
    assert document.problems == []
    assert [target.named for target in read_settings["tills"].known] == [
        {"instance": "10.0.0.1:9100"},
        {"instance": "10.0.0.2:9100", "service": "till"},
    ]
