"""Every name that /metrics can have is in docs/operations.md, and no other."""

from __future__ import annotations

import ast
import asyncio
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.snippets import ROOT
from tests.e2e.daemon import daemon_in
from tests.loopback.exporter import Exporter

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
CONFIG = """
sources: {app: {type: scrape, targets: ["URL/metrics"], every: 1s}}
notifiers: {my-desk: {type: webhook, url: "http://127.0.0.1:1/"}}
"""


def written() -> set[str]:
    """Names in the first column of the table of metrics."""
    return set(re.findall(r"^\| `aiopsd_(\w+)` \|", OPERATIONS, re.MULTILINE))


def named() -> Iterator[str]:
    """What the code counts and gauges, by the literals that it says it with."""
    for path in (ROOT / "aiopsd").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            name = node.args[0]
            if isinstance(name, ast.Constant) and not str(name.value).isidentifier():
                continue  # such as text.count(",", begin)
            if isinstance(name, ast.Constant) and called in ("count", "_count"):
                yield f"{name.value}_total"
            elif isinstance(name, ast.Constant) and called == "gauge":
                yield str(name.value)


def test_every_name_in_the_code_is_documented() -> None:
    names = set(named()) | {"part_gone"}
    assert names - written() == set(), "not documented"
    assert written() - names == set(), "documented, and not there"


def test_nothing_is_counted_by_a_name_that_nobody_can_read() -> None:
    """A computed name would escape the test above."""
    computed = []
    for path in (ROOT / "aiopsd").rglob("*.py"):
        for call in re.findall(r"(?:_count|\.count|gauge)\(f\"", path.read_text()):
            computed.append(f"{path}: {call}")
    assert computed == []


def names_in(exposition: str) -> set[str]:
    return set(re.findall(r"^aiopsd_(\w+)", exposition, re.MULTILINE))


@pytest.fixture
async def exposition(tmp_path: Path) -> str:
    """Of a real daemon that has seen some trouble."""
    async with Exporter(load=1.0) as exporter, daemon_in(tmp_path) as daemon:
        exporter.extra = "this is no metric\n"
        daemon.write(CONFIG.replace("URL", exporter.url))
        await daemon.start()
        await daemon.until(lambda: "bad_lines" in daemon.get("/metrics")[1])
        return daemon.get("/metrics")[1]


async def test_a_real_daemon_shows_no_other_name(exposition: str) -> None:
    assert names_in(exposition) >= {"samples", "series", "queue_depth", "outbox_depth", "halted"}
    assert names_in(exposition) - written() == set()
    assert 'aiopsd_outbox_depth{part="my-desk"} 0' in exposition


@pytest.mark.prometheus
async def test_prometheus_can_read_it(exposition: str) -> None:
    """What promtool thinks of names is another matter; it must parse."""
    check = ["promtool", "check", "metrics"]
    done = await asyncio.to_thread(
        subprocess.run, check, input=exposition, capture_output=True, text=True
    )
    assert "error while linting" not in done.stderr, done.stderr
    assert done.returncode in (0, 3), done.stderr
