"""``maintenance`` in aiopsd.yaml: what is good becomes windows, what is wrong is named."""

from pathlib import Path

import pytest

from aiopsd.config import inspect
from aiopsd.config.maintenance import MaintenanceSettings

GOOD = ('{name: backup, match: [service=db], owner: ana, reason: nightly, at: "02:30", '
        "lasts: 90m, zone: Europe/Berlin}")  # fmt: skip


def windows(folder: Path, *entries: str) -> tuple[tuple[MaintenanceSettings, ...], list[str]]:
    for name in ("rules", "playbooks"):
        (folder / name).mkdir(exist_ok=True)
    path = folder / "aiopsd.yaml"
    lines = "\n".join(f"  - {one}" for one in entries)
    path.write_text(f"sources: {{}}\nmaintenance:\n{lines}\n")
    config, problems = inspect(path)
    return (config.daemon.maintenance if config else ()), [str(one) for one in problems]


def test_what_is_good_becomes_windows(tmp_path: Path) -> None:
    once = GOOD.replace("backup", "move").replace("}", ", date: 2026-12-01}").replace("90m", "20d")
    weekly = GOOD.replace("backup", "sunday").replace("}", ", days: [sun]}").replace("90m", "3d")
    found, problems = windows(tmp_path, GOOD, once, weekly)
    assert problems == []
    daily, move, sunday = (one.window() for one in found)
    assert (daily.lasts_secs, str(daily.zone), len(daily.days)) == (5400.0, "Europe/Berlin", 7)
    assert str(move.on) == "2026-12-01"
    assert sunday.days == frozenset({6})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Europe/Berlin", "Europe/Atlantis", "no time zone 'Europe/Atlantis'"),
        ('"02:30"', '"2:30 pm"', "no time of day, such as 02:30"),
        ('"02:30"', '"02:30+01:00"', "the time zone stands in `zone`"),
        ("90m", "25h", "from 1m to 1d (daily)"),
        ("90m", "5s", "from 1m to 1d"),
        ("90m", "8d, days: [sun]", "from 1m to 7d (weekly)"),
        ("90m", "31d, date: 2026-12-01", "from 1m to 30d (one that comes once)"),
        ("90m", "1h, date: 2026-13-01", "no day, such as 2026-12-01"),
        ("90m", "1h, date: 2026-12-01, days: [sun]", "it comes again, or comes once"),
        ("90m", "1h, days: [sunday]", "did you mean 'sun'?"),
        ("service=db", "", "would silence everything"),
        ("service=db", "service=~.*", "fits everything"),
        ("service=db", '"service=~("', "missing )"),
        ("owner: ana", 'owner: " "', "`owner` is empty"),
        ("owner: ana, ", "", "`owner` is missing"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in GOOD
    _, problems = windows(tmp_path, GOOD.replace(old, new))
    assert len(problems) == 1
    assert ":3:" in problems[0]
    assert said in problems[0]


def test_two_windows_of_one_name(tmp_path: Path) -> None:
    _, problems = windows(tmp_path, GOOD, GOOD)
    assert len(problems) == 1
    assert "aiopsd.yaml:4:" in problems[0]
    assert problems[0].endswith("two windows are called 'backup'")
