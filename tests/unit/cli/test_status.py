"""``aiopsd status`` asks the daemon: here its real web application, on state from a journal."""

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from aiopsd.cli import main
from aiopsd.correlation.quiet.matchers import parsed
from aiopsd.correlation.quiet.silences import muted
from aiopsd.model import Halt, Silence
from aiopsd.pipeline.state import State, restore
from aiopsd.stores import SqliteStore
from aiopsd.web.api import application
from tests.loopback.server import Call, LoopbackServer, Route, text_response
from tests.unit.cli import journal

Capture = pytest.CaptureFixture[str]


class Facts:
    """What the daemon knows, without its sources."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.halts: list[Halt] = []
        self.health: list[dict[str, Any]] = []
        self.mute: list[dict[str, Any]] = []

    def alive(self) -> str:
        return ""

    ready = alive

    def exposition(self) -> str:
        return ""

    def listing(self, what: str) -> list[Any] | None:
        state = self.state
        rooms: dict[str, Sequence[Any]] = {
            "incidents": list(state.incidents.values()),
            "runs": list(state.runs.values()),
            "decisions": list(state.decisions.values()),
            "halts": self.halts,
            "silences": list(state.silences.values()),
            "health": self.health,
            "mute": self.mute,
        }
        return list(rooms[what]) if what in rooms else None


@pytest.fixture
async def facts(tmp_path: Path) -> AsyncIterator[Facts]:
    """Served where ``tmp_path/aiopsd.yaml`` says."""
    config = await journal.write(tmp_path)
    store = SqliteStore(tmp_path / "state" / "journal.db", time.time, read_only=True)
    facts = Facts(await restore(store, journal.START_S))
    await store.close()
    runner = web.AppRunner(application(facts, {}), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    config.write_text(f"sources: {{}}\nweb: {{listen: '127.0.0.1:{port}'}}\n")
    yield facts
    await runner.cleanup()


async def status(folder: Path, *more: str) -> int:
    return await asyncio.to_thread(main, ["status", "-c", str(folder / "aiopsd.yaml"), *more])


async def test_what_is_wrong_why_and_what_is_done(
    facts: Facts, tmp_path: Path, capsys: Capture
) -> None:
    minutes = (time.time() - journal.START_S - 10) / 60
    assert await status(tmp_path) == 0
    out = capsys.readouterr().out
    (shown,) = re.findall(r"(\d+) min", out)
    assert float(shown) == pytest.approx(minutes, abs=2)
    assert out.splitlines() == [
        "One incident.",
        f"high     error ratio checkout 11.8 %, expected 0-1.2 %  INC-7f3a21, {shown} min",
        "         likely payments 0.81",
        "         restart: observe, mode is observe; it would run now",
        "running  rollback-release on service/payments",
    ]


async def test_what_lasts_when_what_named_it_is_over(
    facts: Facts, tmp_path: Path, capsys: Capture
) -> None:
    over = replace(journal.ANOMALY, ended_s=journal.START_S + 60)
    slow, slower = (replace(over, id=t, title=t, ended_s=None) for t in ("slow", "slower"))
    incident = replace(journal.OPEN, anomalies=(over, slow, slower))
    facts.state.incidents[incident.id] = incident
    assert await status(tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "         that is over; what lasts: slow and 1 more"


async def test_what_is_muted_by_whom_and_until_when(
    facts: Facts, tmp_path: Path, capsys: Capture
) -> None:
    now_s, incident = time.time(), facts.state.incidents["INC-7f3a21"]
    words = {"matchers": parsed(["service=checkout", "rule=~err.*"]), "owner": "ana",
             "reason": "new disks", "created_s": now_s}  # fmt: skip
    on = Silence(id="SIL-1", starts_s=now_s, ends_s=now_s + 3630, **words)
    later = Silence(id="SIL-2", starts_s=now_s + 90, ends_s=now_s + 900, kind="maintenance",
                    window="backup", **words)  # fmt: skip
    over = replace(on, id="SIL-3", ended_s=now_s)
    facts.state.silences = {one.id: one for one in (on, later, over)}
    some = muted(on, [incident.anomalies[0].id])
    whole = replace(some, anomalies=())
    facts.state.incidents[incident.id] = replace(incident, muted=whole, silenced=(some,))
    assert await status(tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "One incident, 1 of them told to nobody."
    what = "service=checkout, rule=~err.*"
    assert lines[1] == (f"silent   {what} for 60 min by ana: new disks (silence SIL-1); mutes in 1 "
                        "open")  # fmt: skip
    waits = rf"silent   {re.escape(what)} in \d+ s by ana: new disks \(backup SIL-2\)"
    assert re.fullmatch(waits, lines[2])
    assert lines[4].startswith("         muted: silenced by ana until ")
    many = len(incident.anomalies)
    facts.state.incidents[incident.id] = replace(incident, silenced=(some,))
    assert await status(tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "One incident."
    assert lines[4].startswith(f"         1 of {many} anomalies silenced by ana until ")


async def test_what_others_name_cannot_steer_the_terminal(
    facts: Facts, tmp_path: Path, capsys: Capture
) -> None:
    """Labels come from whoever may write metrics, and a title is made of them."""
    evil = "down \x1b]0;pwn\x07\x1b[2J\r\nNothing is wrong.\t\x9b"
    incident = facts.state.incidents["INC-7f3a21"]
    facts.state.incidents["INC-7f3a21"] = replace(incident, title=evil)
    assert await status(tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == r"high     down \x1b]0;pwn\x07\x1b[2J"
    assert lines[2].startswith(12 * " " + "Nothing is wrong.")
    assert r"\x9b  INC-7f3a21, " in lines[2]


async def test_all_is_well(facts: Facts, tmp_path: Path, capsys: Capture) -> None:
    facts.state.incidents.clear()
    facts.state.runs.clear()
    assert await status(tmp_path) == 0
    assert capsys.readouterr().out == "Nothing is wrong.\n"


async def test_halts_and_parts_that_are_away(facts: Facts, tmp_path: Path, capsys: Capture) -> None:
    facts.state = State()
    facts.halts = [
        Halt(id="*", on=True, by="mara", reason="black friday", time_s=1.0),
        Halt(id="service/a", on=True, by="jon", reason="", time_s=1.0),
    ]
    facts.health = [{"part": "prom", "since_s": time.time() - 30, "reason": "no answer"}]
    assert await status(tmp_path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "No incident, but 2 halts, 1 part gone.",
        "HALTED   everything by mara black friday",
        "HALTED   service/a by jon",
        "gone     prom for 30 s: no answer",
    ]


async def test_rules_that_cannot_judge(facts: Facts, tmp_path: Path, capsys: Capture) -> None:
    facts.state = State()
    facts.mute = [{"rule": "odd_one", "reason": "hears no series"}]
    assert await status(tmp_path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "No incident, but 1 rule mute.",
        "mute     rule odd_one hears no series",
    ]


async def test_a_run_that_outlasts_its_incident(
    facts: Facts, tmp_path: Path, capsys: Capture
) -> None:
    facts.state.incidents.clear()
    assert await status(tmp_path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "No incident, but 1 run not over.",
        "running  rollback-release on service/payments",
    ]


async def test_json_has_every_listing(facts: Facts, tmp_path: Path, capsys: Capture) -> None:
    assert await status(tmp_path, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {
        "incidents", "runs", "decisions", "halts", "silences", "health", "mute",
    }  # fmt: skip
    assert found["runs"][0]["target"] == "service/payments"


async def test_a_proxy_of_the_environment_is_not_asked(
    facts: Facts, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert await status(tmp_path) == 0


async def test_an_address_of_ipv6(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "aiopsd.yaml").write_text("web: {listen: '[::1]:1'}\n")
    assert await status(tmp_path) == 1
    assert "no daemon answers at http://[::1]:1/api" in capsys.readouterr().err


async def test_no_daemon(tmp_path: Path, capsys: Capture) -> None:
    with socket.socket() as taken:  # bound, and not listening: refused
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        (tmp_path / "aiopsd.yaml").write_text(f"web: {{listen: '127.0.0.1:{port}'}}\n")
        assert await status(tmp_path) == 1
    assert "Connection refused. Is `aiopsd run` up?" in capsys.readouterr().err


class Other(LoopbackServer):
    """Another program on our port."""

    def routes(self) -> Sequence[Route]:
        return (("GET", "/api/.*", self._hello),)

    def _hello(self, call: Call) -> web.Response:
        return text_response(200, "hello")


async def test_another_program_on_the_port(tmp_path: Path, capsys: Capture) -> None:
    async with Other() as other:
        (tmp_path / "aiopsd.yaml").write_text(f"web: {{listen: '127.0.0.1:{other.port}'}}\n")
        assert await status(tmp_path) == 1
    assert "is not aiopsd" in capsys.readouterr().err


@pytest.mark.parametrize("web", ["[1]", "{listen: 9797}", "5", "{listen: nonsense}", "~"])
async def test_a_broken_configuration_makes_no_traceback(
    web: str, tmp_path: Path, capsys: Capture
) -> None:
    """Where nothing else is said, the default address is asked: something may answer there."""
    (tmp_path / "aiopsd.yaml").write_text(f"web: {web}\n")
    code = await status(tmp_path)
    assert (code, "nonsense" in web) in ((0, False), (1, False), (78, True))
