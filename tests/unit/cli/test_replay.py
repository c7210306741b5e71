"""``aiopsd replay``: what people type, and what they get."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from aiopsd.cli import main
from tests.loopback.prometheus import BadData, ReplayPrometheus

Capture = pytest.CaptureFixture[str]
START_S = 1_700_006_400.0  # 2023-11-15 00:00 UTC
RULES = """
pack: shop
rules:
  - {id: errors, promql: errors, every: 1m, detector: {type: threshold, above: 5}, title: errors}
  - {id: nothing, promql: nothing, every: 1m, detector: {type: band}}
  - {id: lately, promql: lately, every: 1m, detector: {type: threshold, above: 99}}
  - {id: broken, promql: "sum((", every: 1m, detector: {type: band}}
"""


def evaluate(query: str, time_s: float) -> Iterator[tuple[dict[str, str], float]]:
    if query == "sum((":
        raise BadData("parse error")
    hours = (time_s - START_S) / 3600
    if query == "nothing" or (query == "lately" and hours < 18):
        return
    yield {"service": "web"}, 50.0 if 5 <= hours % 12 < 5.5 else 0.0


@pytest.fixture
async def config(tmp_path: Path) -> AsyncIterator[str]:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "shop.yaml").write_text(RULES)
    async with ReplayPrometheus() as server:
        server.answer_from(evaluate)
        text = f"sources: {{prom: {{type: prometheus, url: '{server.url}'}}}}\n"
        (tmp_path / "aiopsd.yaml").write_text(text)
        yield str(tmp_path / "aiopsd.yaml")


async def typed(*words: str) -> int:
    return await asyncio.to_thread(main, ["replay", *words])


async def test_for_people(config: str, capsys: Capture) -> None:
    window = ("--from", "2023-11-15", "--to", "2023-11-17T00:00Z")
    assert await typed("-c", config, *window, "--rule", "errors") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "2023-11-15 00:00Z to 2023-11-17 00:00Z: 12h learned in silence, then 36h judged"
    )
    assert lines[3].split() == [
        "errors",
        "1",
        "3",
        "0",
        "2.0",
        "4.17%",
        "30m",
        "service=web",
        "(3)",
    ]
    assert lines[6].startswith("  2023-11-15 17:0")
    assert "certain        30m  errors web 50, limit 5  service=web" in lines[6]
    assert "3 incidents would have opened, 2.0 a day" in lines


async def test_for_machines(config: str, capsys: Capture) -> None:
    window = ("--from", "2023-11-15", "--to", "2023-11-17", "--learn", "1d")
    assert await typed("-c", config, *window, "--json") == 1  # one rule is refused
    found = json.loads(capsys.readouterr().out)
    assert found["window"]["judged_s"] == START_S + 86_400
    rules = {one["rule"]: one for one in found["rules"]}
    assert rules["errors"]["counts"]["by_day"] == {"2023-11-16": 2}
    assert rules["broken"]["trouble"].startswith("refused: ")
    assert [one["rules"] for one in found["incidents"]] == [["errors"], ["errors"]]


async def test_a_refused_rule_is_named(config: str, capsys: Capture) -> None:
    assert await typed("-c", config, "--from", "2023-11-15", "--to", "2023-11-16") == 1
    out = capsys.readouterr().out
    assert "not replayed: broken: refused: " in out
    assert "\nerrors  " in out


async def test_silence_for_want_of_data_is_told(config: str, capsys: Capture) -> None:
    assert await typed("-c", config, "--from", "2023-11-15", "--to", "2023-11-16") == 1
    out = capsys.readouterr().out
    assert "\nno data: nothing: what they ask had no answer in this time\n" in out
    assert "\nlittle data, as a share of the time judged: lately 33.3%\n" in out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "say how far back: --since 7d, or --from TIME"),
        (("--since", "1d", "--from", "2023-11-15"), "say how far back"),
        (("--since", "7"), "--since: not a duration: '7'"),
        (("--from", "yesterday"), "--from: 'yesterday' is not a time"),
        (("--from", "2023-11-15", "--to", "2023-11-14"), "the window is empty"),
        (("--from", "2093-11-15"), "the window is empty"),
        (("--from=-1e300",), "the window begins before 1970"),
        (("--since", "2h", "--learn", "2h"), "--learn leaves nothing to judge"),
    ],
)
async def test_wrong_windows(
    config: str, words: tuple[str, ...], why: str, capsys: Capture
) -> None:
    assert await typed("-c", config, *words) == 1
    assert why in capsys.readouterr().err


async def test_since_reaches_back_from_now(config: str, capsys: Capture) -> None:
    assert await typed("-c", config, "--since", "4h", "--rule", "errors", "--json") == 0
    window = json.loads(capsys.readouterr().out)["window"]
    assert window["end_s"] - window["begin_s"] == pytest.approx(4 * 3600)
    assert window["judged_s"] - window["begin_s"] == pytest.approx(3600)


async def test_faults(config: str, capsys: Capture) -> None:
    assert await typed("-c", config, "--since", "1d", "--rule", "eror") == 78
    assert "no rule 'eror'" in capsys.readouterr().err
    Path(config).write_text("sources: {prom: {type: prometheus, url: 'http://127.0.0.1:9'}}\n")
    assert await typed("-c", config, "--since", "1d") == 1
    assert capsys.readouterr().err == "source prom: connection refused\n"
