"""What docs/operations.md and docs/rules.md promise, done."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from aiopsd.cli import main
from tests.docs.snippets import ROOT, snippets
from tests.e2e.daemon import daemon_in
from tests.loopback.exporter import Exporter
from tests.unit.cli import journal

OPERATIONS = ROOT / "docs" / "operations.md"
Capture = pytest.CaptureFixture[str]
CONFIG = """
sources: {{app: {{type: scrape, targets: ["{url}/metrics"], every: 1s}}}}
incidents: {{quiet: 1s}}
"""
RULES = """
pack: test
rules:
  - {id: sick, select: sick, by: [service], severity: critical,
     detector: {type: threshold, above: 0.5}}
"""


async def test_the_example_of_incident_show_is_what_it_prints(
    tmp_path: Path, capsys: Capture
) -> None:
    config = await journal.write(tmp_path)
    examples = snippets(ROOT / "docs" / "rules.md", "console")
    (shown,) = [one for one in examples if "aiopsd incident show" in one.text]
    command, *lines = shown.text.splitlines()
    words = command.removeprefix("$ aiopsd ").split()
    assert await asyncio.to_thread(main, [*words, "-c", str(config)]) == 0
    assert capsys.readouterr().out.splitlines() == lines


async def test_files_signals_health_and_backup_of_a_running_daemon(
    tmp_path: Path, capsys: Capture
) -> None:
    async with Exporter(**{'sick{service="api"}': 1.0}) as exporter, daemon_in(tmp_path) as daemon:
        daemon.write(CONFIG.format(url=exporter.url), rules__test=RULES)
        await daemon.start()
        (incident,) = await daemon.until(daemon.open_incidents)
        files = {path.name for path in (tmp_path / "state").iterdir()}
        journal = {"journal.db", "journal.db-wal", "journal.db-shm"}
        assert files == {"lock", "control.sock", "positions.key", "redaction.key"} | journal
        assert daemon.get("/healthz") == daemon.get("/readyz") == (200, "ok\n")
        await asyncio.to_thread(_backup, tmp_path / "state" / "journal.db", tmp_path / "copy.db")
        async with exporter.away():
            await daemon.until(lambda: daemon.get("/readyz")[0] == 503)
            assert "no source answers: app" in daemon.get("/readyz")[1]
            assert daemon.get("/healthz")[0] == 200
            assert daemon.open_incidents(), "it stays open while nobody can see"
        await daemon.until(lambda: daemon.get("/readyz")[0] == 200)
        assert daemon.log_lines("gone part=app", "reason=")
        assert daemon.log_lines("back part=app", "after=")
        await daemon.kill()
        await _restored(tmp_path)
        await daemon.start()
        assert [one["id"] for one in daemon.open_incidents()] == [incident["id"]]
        exporter.gauges['sick{service="api"}'] = 0.0
        await daemon.until(lambda: not daemon.open_incidents())
        assert await daemon.stop() == 0
    assert await asyncio.to_thread(main, ["incident", "list", "-c", f"{tmp_path}/aiopsd.yaml"]) == 0
    assert incident["id"] in capsys.readouterr().out


def _backup(journal_file: Path, copy: Path) -> None:
    """As the document says where there is sqlite3's shell; else by the same function of SQLite."""
    (command,) = re.findall(r'^sqlite3 \S+ "(\.backup) \S+"$', OPERATIONS.read_text(), re.MULTILINE)
    assert command == ".backup"
    source, target = sqlite3.connect(journal_file), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()


async def _restored(folder: Path) -> None:
    state = folder / "state"
    for end in ("-wal", "-shm"):
        (state / f"journal.db{end}").unlink(missing_ok=True)
    shutil.copyfile(folder / "copy.db", state / "journal.db")


async def test_looking_inside_the_journal(tmp_path: Path) -> None:
    await journal.write(tmp_path)
    (query,) = re.findall(r'`sqlite3 journal\.db "([^"]+)"`', OPERATIONS.read_text())
    rows = sqlite3.connect(tmp_path / "state" / "journal.db").execute(query).fetchall()
    assert len(rows) == len(journal.EVENTS)
    assert '"INC-7f3a21"' in rows[-2][0]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["check", "-c", "good/aiopsd.yaml"], 0),
        (["check", "-c", "wrong/aiopsd.yaml"], 1),
        (["run", "-c", "wrong/aiopsd.yaml"], os.EX_CONFIG),
        (["status", "-c", "good/aiopsd.yaml"], 1),
        (["status", "-c", "none.yaml"], os.EX_CONFIG),
        (["incident", "show", "-c", "good/aiopsd.yaml"], 2),
        (["incident", "list", "-c", "good/aiopsd.yaml"], os.EX_CONFIG),
        (["run", "-c", "taken/aiopsd.yaml"], os.EX_CONFIG),
    ],
)
def test_exit_codes(
    words: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (
        ("good", "sources: {}\nweb: {listen: '127.0.0.1:1'}\n"),
        ("wrong", "sources: 5\n"),
        ("taken", "sources: {}\nstate: ../wrong/aiopsd.yaml\n"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "aiopsd.yaml").write_text(text)
    assert main(words) == code
    assert f"| {code} |" in OPERATIONS.read_text()


def test_wrong_arguments() -> None:
    with pytest.raises(SystemExit) as raised:
        main(["run", "--nonsense"])
    assert raised.value.code == 2
