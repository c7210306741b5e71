"""``aiopsd silence``: what is asked of the daemon, and what is wrong before it is asked."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from aiopsd.cli import main
from aiopsd.cli.silence import _told, arguments, wanted
from aiopsd.errors import Refused

NOW = 1_780_000_000.0  # 2026-05-28 20:26:40 UTC


def asked(*words: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    arguments(parser)
    return wanted(parser.parse_args(["add", *words]), NOW)


def test_for_or_until_from_now_or_later() -> None:
    one = asked("service=db", "rule=~disk_.*", "--for", "90m", "--reason", "disks")
    assert one == {
        "matchers": ["service=db", "rule=~disk_.*"], "owner": "", "reason": "disks",
        "starts_s": NOW, "ends_s": NOW + 5400, "kind": "silence",
    }  # fmt: skip
    one = asked("a=b", "--from", "2026-05-28T23:26:40+02:00", "--for", "1h", "--maintenance")
    assert (one["starts_s"], one["ends_s"]) == (NOW + 3600, NOW + 7200)
    assert one["kind"] == "maintenance"
    assert asked("a=b", "--until", "2026-05-28T20:27:40Z")["ends_s"] == NOW + 60


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ((), "for how long"),
        (("--for", "2h", "--until", "2026-05-29T00:00Z"), "for how long"),
        (("--for", "2"), "not a duration: '2'; write 90s, 15m, 1h30m"),
        (("--until", "tomorrow"), "'tomorrow' is no time"),
        (("--until", "2026-05-29T00:00"), "of which zone"),
    ],
)
def test_what_is_no_time_is_refused(words: tuple[str, ...], wrong: str) -> None:
    with pytest.raises(Refused, match=wrong):
        asked("service=db", *words)


def test_without_a_daemon_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "aiopsd.yaml"
    config.write_text("sources: {}\nweb: {listen: '127.0.0.1:1'}\n")
    for words in (["add", "a=b", "--for", "1h", "--reason", "x"], ["end", "SIL-1"], ["list"]):
        assert main(["silence", *words, "-c", str(config)]) == 1
        assert "Is `aiopsd run` up?".lower() in capsys.readouterr().err.lower()
    assert main(["silence", "end", "-c", str(config)]) == 1
    assert "which? aiopsd silence end ID" in capsys.readouterr().err


def test_a_line_says_what_until_when_by_whom_and_what_it_mutes() -> None:
    one = {"id": "SIL-1", "matchers": [{"label": "service", "op": "=~", "value": "d.*"}],
           "owner": "ana", "reason": "disks", "starts_s": NOW, "ends_s": NOW + 3600}  # fmt: skip
    hit = {"by": "SIL-1", "anomalies": ["a"]}
    incidents = [
        {"id": "INC-1", "title": "slow", "silenced": [hit], "anomalies": [{}, {}]},
        {"id": "INC-2", "title": "full", "silenced": [hit], "anomalies": [{}], "state": "resolved"},
        {"id": "INC-3", "title": "else", "anomalies": [{}]},
    ]
    assert list(_told(one, incidents, NOW)) == [
        'SIL-1  silence  until 2026-05-28 21:26Z  service=~"d.*"',
        "    ana: disks",
        "    mutes INC-1 (1 of 2 anomalies): slow",
        "    muted INC-2 (1 of 1 anomalies): full",
    ]
    later = one | {"starts_s": NOW + 60, "window": "backup", "kind": "maintenance"}
    (first, _) = _told(later, [], NOW)
    assert first.startswith("SIL-1  backup  from 2026-05-28 20:27Z until 2026-05-28 21:26Z")
    over = one | {"ended_s": NOW - 60, "ended_by": "bo"}
    (first, _) = _told(over, [], NOW)
    assert first.startswith("SIL-1  silence  over since 2026-05-28 20:25Z by bo")
