"""``aiopsd init``: what it writes works at once, against real servers and against wrong ones."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from aiopsd.cli import main
from aiopsd.config import inspect, load
from aiopsd.document import read
from tests.e2e.daemon import Daemon, daemon_in
from tests.integration.programs import Program
from tests.loopback.loki import LoopbackLoki
from tests.loopback.prometheus import ReplayPrometheus
from tests.loopback.server import Call, Route, json_response

Capture = pytest.CaptureFixture[str]
NS = 10**9
NAMES = "/api/v1/label/__name__/values"
SCRAPING = """
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: node
    static_configs: [{targets: ["TARGET"]}]
"""


async def init(folder: Path, *arguments: str) -> int:
    return await asyncio.to_thread(main, ["init", "--dir", str(folder), *arguments])


def written(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(files)}


class Named(ReplayPrometheus):
    """Answers which metric names there are."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names
        self.body: Any = None

    def routes(self) -> Sequence[Route]:
        return [("GET", NAMES, self._names), *super().routes()]

    def _names(self, call: Call) -> web.Response:
        return json_response(self.body or {"status": "success", "data": list(self.names)})


@pytest.fixture
async def prometheus() -> AsyncIterator[Named]:
    async with Named("http_requests_total", "up", "node_cpu_seconds_total") as server:
        yield server


# --- real servers -----------------------------------------------------------------------


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Program]:
    """Prometheus that scrapes a node_exporter, and has its metrics."""
    folder = tmp_path / "programs"
    folder.mkdir()
    exporter = Program(
        folder,
        "prometheus-node-exporter",
        "--web.listen-address=127.0.0.1:{port}",
        ready="/metrics",
    )
    async with exporter:
        config = folder / "prometheus.yml"
        config.write_text(SCRAPING.replace("TARGET", f"127.0.0.1:{exporter.port}"))
        program = Program(
            folder,
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--web.listen-address=127.0.0.1:{port}",
            ready="/-/ready",
        )
        async with program:
            yield program


@pytest.mark.prometheus
@pytest.mark.node_exporter
async def test_from_nothing_to_judging_a_real_host(
    real: Program, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "mine"
    deadline_s = time.monotonic() + 60
    while await init(folder, "--prometheus", real.url, "--force") == 0:  # until it was scraped
        said = capsys.readouterr()
        if "pack hosts" in said.out:
            break
        assert time.monotonic() < deadline_s, said
        await asyncio.sleep(0.2)
    assert "pack hosts        because node_cpu_seconds_total is there" in said.out
    assert set(written(folder)) == {
        "aiopsd.yaml",
        "rules/hosts.yaml",
        "playbooks/free-disk-space.yaml",
        "playbooks/restart-failed-unit.yaml",
    }
    assert await asyncio.to_thread(main, ["check", "-c", str(folder / "aiopsd.yaml")]) == 0
    async with daemon_in(folder) as daemon:
        _edit(folder / "aiopsd.yaml", lambda text: text.replace(":9797", f":{daemon.port}"))
        await daemon.start()
        first = await daemon.until(lambda: _metric(daemon, "samples"))
        await daemon.until(lambda: _metric(daemon, "samples") > first)
        await daemon.until(lambda: _metric(daemon, "series") >= 6)  # most rules have theirs
        assert "aiopsd_failed_queries_total" not in daemon.get("/metrics")[1], daemon.log()
        config = ["-c", str(folder / "aiopsd.yaml")]
        assert await asyncio.to_thread(main, ["incident", "list", *config]) == 0
        for command, halted in ((["halt", "--reason", "audit"], True), (["resume"], False)):
            assert await asyncio.to_thread(main, [*command, *config]) == 0
            capsys.readouterr()
            assert await asyncio.to_thread(main, ["status", *config]) == 0
            assert ("HALTED   everything by" in capsys.readouterr().out) is halted
        assert await daemon.stop() == 0


def _metric(daemon: Daemon, name: str) -> float:
    found = re.search(rf"^aiopsd_{name} (\S+)$", daemon.get("/metrics")[1], re.MULTILINE)
    return float(found[1]) if found else 0.0


def _edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


# --- what fits --------------------------------------------------------------------------


async def test_packs_whose_metrics_are_there(
    prometheus: Named, tmp_path: Path, capsys: Capture
) -> None:
    assert await init(tmp_path, "--prometheus", prometheus.url) == 0
    assert set(written(tmp_path)) == {
        "aiopsd.yaml",
        "rules/hosts.yaml",
        "rules/services.yaml",
        "playbooks/free-disk-space.yaml",
        "playbooks/restart-failed-unit.yaml",
        "playbooks/rollback-release.yaml",
    }
    config = load(tmp_path / "aiopsd.yaml")
    assert config.daemon.automation.mode == "observe"
    assert {playbook.mode for playbook in config.playbooks} == {"observe"}
    out = capsys.readouterr().out
    assert f"aiopsd run -c {tmp_path / 'aiopsd.yaml'}" in out
    assert "wrote " in out


async def test_nothing_fits(tmp_path: Path, capsys: Capture) -> None:
    async with Named("some_metric") as prometheus:
        assert await init(tmp_path, "--prometheus", prometheus.url) == 0
    assert set(written(tmp_path)) == {"aiopsd.yaml"}
    assert (tmp_path / "rules").is_dir()
    assert "no shipped pack fits the 1 metric names there" in capsys.readouterr().err
    assert inspect(tmp_path / "aiopsd.yaml")[1] == []


async def test_below_a_path(tmp_path: Path) -> None:
    """As Mimir and reverse proxies have it."""

    class Below(Named):
        def routes(self) -> Sequence[Route]:
            return [("GET", f"/prometheus{NAMES}", self._names)]

    async with Below("node_cpu_seconds_total") as server:
        assert await init(tmp_path, "--prometheus", f"{server.url}/prometheus/") == 0
    assert "rules/hosts.yaml" in written(tmp_path)


@pytest.mark.parametrize(
    ("labels", "query"),
    [
        ({"app": "shop"}, '{service_name=~".+"}'),
        ({"job": "varlogs", "host": "a"}, '{service_name=~".+"}'),
        ({}, '{service_name=~".+"}'),
    ],
)
async def test_logs_too(
    labels: dict[str, str], query: str, prometheus: Named, tmp_path: Path, capsys: Capture
) -> None:
    async with LoopbackLoki() as loki:
        if labels:
            loki.push(labels, [(int(time.time()) * NS, "error: boom", None)])
        assert await init(tmp_path, "--prometheus", prometheus.url, "--loki", loki.url) == 0
    assert "rules/logs.yaml" in written(tmp_path)
    assert "pack logs         because log_lines is there" in capsys.readouterr().out
    assert read(tmp_path / "aiopsd.yaml").data["sources"]["logs"]["query"] == query


@pytest.mark.parametrize(
    ("labels", "query"),
    [(["filename", "job"], '{job=~".+"}'), (["zone", "filename"], '{filename=~".+"}')],
)
async def test_a_loki_before_version_3_has_no_service_name(
    labels: list[str], query: str, prometheus: Named, tmp_path: Path
) -> None:
    class Old(LoopbackLoki):
        def routes(self) -> Sequence[Route]:
            answer = {"status": "success", "data": labels}
            return [("GET", "/loki/api/v1/labels", lambda _: json_response(answer))]

    async with Old() as loki:
        assert await init(tmp_path, "--prometheus", prometheus.url, "--loki", loki.url) == 0
    assert read(tmp_path / "aiopsd.yaml").data["sources"]["logs"]["query"] == query


async def test_a_metric_called_log_lines_is_no_loki(tmp_path: Path) -> None:
    async with Named("log_lines") as prometheus:
        assert await init(tmp_path, "--prometheus", prometheus.url) == 0
    assert set(written(tmp_path)) == {"aiopsd.yaml"}


async def test_an_address_with_marks_of_yaml(tmp_path: Path) -> None:
    class Odd(Named):
        def routes(self) -> Sequence[Route]:
            return [("GET", "/.*", self._names)]

    async with Odd("up") as server:
        url = f"{server.url}/a,b: {{c}}#d"
        assert await init(tmp_path, "--prometheus", url) == 0
    assert read(tmp_path / "aiopsd.yaml").data["sources"]["prom"]["url"] == url


async def test_logs_alone(tmp_path: Path, capsys: Capture) -> None:
    async with LoopbackLoki() as loki:
        assert await init(tmp_path, "--loki", loki.url) == 0
    assert set(written(tmp_path)) == {"aiopsd.yaml", "rules/logs.yaml"}
    assert list(read(tmp_path / "aiopsd.yaml").data["sources"]) == ["logs"]
    assert "aiopsd replay" not in capsys.readouterr().out  # it asks Prometheus


async def test_files_and_the_journal(tmp_path: Path, capsys: Capture) -> None:
    files = ("--file", '/var/log/a: "b"/*.log', "--file", "app.log")
    assert await init(tmp_path, *files, "--journal") == 0
    sources = read(tmp_path / "aiopsd.yaml").data["sources"]
    assert sources == {
        "files": {
            "type": "file",
            "paths": ['/var/log/a: "b"/*.log', str(Path("app.log").absolute())],
            "labels": {"service": "{name}"},
        },
        "journal": {"type": "journal"},
    }
    assert set(written(tmp_path)) == {"aiopsd.yaml", "rules/logs.yaml"}
    assert "pack logs         because log_lines is there" in capsys.readouterr().out
    assert inspect(tmp_path / "aiopsd.yaml")[1] == []


async def test_nothing_to_be_watched(tmp_path: Path, capsys: Capture) -> None:
    assert await init(tmp_path) == 2
    assert "at least one of --prometheus, --loki, --file and" in capsys.readouterr().err.lower()
    assert written(tmp_path) == {}


# --- wrong servers ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:9090", "--prometheus: `url` must be like http://host:9090"),
        ("localhost:9090", "--prometheus: `url` must be like http://host:9090"),
        ("ftp://a/", "--prometheus: `url` must be like http://host:9090"),
        ("http://me:pass@h", "--prometheus: `url` holds a user or password"),
        ("http://[bad", "--prometheus: `url` is not an address"),
        ("http://does-not-exist.invalid", "cannot resolve the name does-not-exist.invalid"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1: connection refused"),
        ("https://127.0.0.1:PORT", "no TLS connection: does it speak plain http?"),
    ],
)
async def test_a_wrong_address(
    url: str, said: str, prometheus: Named, tmp_path: Path, capsys: Capture
) -> None:
    url = url.replace("PORT", str(prometheus.port))
    assert await init(tmp_path, "--prometheus", url) == 1
    told = capsys.readouterr()
    assert said in told.err
    assert "pass@" not in told.err
    assert written(tmp_path) == {}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: p.html_next(), "answers 200 with a web page: is this the right address?"),
        (lambda p: p.fail_next(404, "404 page not found"), "answers 404 with 404 page not found"),
        (lambda p: p.fail_next(503, "Service Unavailable"), "answers 503 with Service Unavail"),
        (lambda p: p.fail_next(401, ""), "it wants to know who asks. Write aiopsd.yaml by hand"),
        (lambda p: p.fail_next(200, "[1, 2]"), "but not as Prometheus or Loki would"),
        (lambda p: p.fail_next(200, '{"status": "success", "data": [{}]}'), "but not as Prometh"),
        (lambda p: p.fail_next(200, '{"hello": "world"}'), "but not as Prometheus or Loki would"),
        (lambda p: p.truncate_next(2), "its answer was cut off"),
        (lambda p: p.truncate_next(clean=True), "but not as Prometheus or Loki would"),
    ],
)
async def test_a_server_that_is_something_else(
    spoil: Callable[[Named], None], said: str, prometheus: Named, tmp_path: Path, capsys: Capture
) -> None:
    spoil(prometheus)
    assert await init(tmp_path, "--prometheus", prometheus.url) == 1
    assert said in capsys.readouterr().err
    assert written(tmp_path) == {}


async def test_a_loki_that_is_something_else(
    prometheus: Named, tmp_path: Path, capsys: Capture
) -> None:
    url = prometheus.url
    assert await init(tmp_path, "--prometheus", url, "--loki", url) == 1
    assert f"{url}/loki/api/v1/labels answers 404" in capsys.readouterr().err
    assert await init(tmp_path, "--prometheus", url, "--loki", "loki:3100") == 1
    assert "--loki: `url` must be like" in capsys.readouterr().err
    assert written(tmp_path) == {}


# --- what is there already --------------------------------------------------------------


async def test_nothing_of_yours_is_overwritten(
    prometheus: Named, tmp_path: Path, capsys: Capture
) -> None:
    assert await init(tmp_path, "--prometheus", prometheus.url) == 0
    before = written(tmp_path)
    assert await init(tmp_path, "--prometheus", prometheus.url) == 1
    assert "aiopsd.yaml is already there; --force replaces it" in capsys.readouterr().err
    (tmp_path / "aiopsd.yaml").unlink()
    (tmp_path / "rules" / "hosts.yaml").write_text("pack: hosts\nrules: []\n")
    after = written(tmp_path)
    assert await init(tmp_path, "--prometheus", prometheus.url) == 1
    assert "already there, and not as shipped: " in (said := capsys.readouterr().err)
    assert str(tmp_path / "rules" / "hosts.yaml") in said
    assert "services.yaml" not in said
    assert written(tmp_path) == after
    assert await init(tmp_path, "--prometheus", prometheus.url, "--force") == 0
    assert written(tmp_path) == before


async def test_your_own_faulty_rules_are_named(
    prometheus: Named, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "mine.yaml").write_text("pack: mine\n")
    assert await init(tmp_path, "--prometheus", prometheus.url) == 1
    assert "rules/mine.yaml:1:1: `rules` is missing" in capsys.readouterr().err


async def test_where_nothing_can_be_written(
    prometheus: Named, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "rules").write_text("a file where the folder should be")
    assert await init(tmp_path, "--prometheus", prometheus.url) == 1
    assert f"cannot write {tmp_path / 'rules'}" in capsys.readouterr().err
