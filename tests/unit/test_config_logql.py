"""Rules that are asked of Loki: what `check` says of them, and whom the daemon asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiopsd.config import inspect

SOURCES = """\
sources:
  prom: {type: prometheus, url: "http://127.0.0.1:9090", every: 30s}
  logs: {type: loki, url: "http://127.0.0.1:3100"}
  old: {type: loki, url: "http://127.0.0.1:3101"}
"""
RULE = """\
pack: mine
rules:
  - id: errors
    logql: sum by (service) (rate({job="shop"} |= "error" [1m]))
    detector: {type: band}
"""


def written(folder: Path, sources: str, rule: str) -> Path:
    (folder / "rules").mkdir()
    (folder / "rules" / "mine.yaml").write_text(rule)
    (folder / "aiopsd.yaml").write_text(sources)
    return folder / "aiopsd.yaml"


def test_the_first_loki_is_asked_every_fifteen_seconds(tmp_path: Path) -> None:
    config, problems = inspect(written(tmp_path, SOURCES, RULE))
    assert config is not None
    assert problems == []
    (rule,) = config.rules
    assert config.asked(rule) == "logs"
    assert config.every_secs(rule) == 15
    assert not config.streamed(rule)


def test_another_loki_can_be_named(tmp_path: Path) -> None:
    rule = RULE + "    source: old\n    every: 1m\n"
    config, problems = inspect(written(tmp_path, SOURCES, rule))
    assert config is not None
    assert problems == []
    assert config.asked(config.rules[0]) == "old"
    assert config.every_secs(config.rules[0]) == 60


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("logql: ", "promql: up\n    logql: ", "stands alone"),
        ("logql: ", "select: up\n    logql: ", "stands alone"),
        ("rate(", "(", "3:5: `logql`: [1m] belongs into a function"),
        (" [1m]", "", "needs a range"),
        (
            "    detector",
            "    source: prom\n    detector",
            "no loki source 'prom'; known: logs, old",
        ),
        ("logql: sum", "logl: sum", "did you mean 'logql'?"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, words: str) -> None:
    _, problems = inspect(written(tmp_path, SOURCES, RULE.replace(old, new)))
    assert words in "\n".join(map(str, problems))


def test_without_a_loki_nobody_can_be_asked(tmp_path: Path) -> None:
    sources = "".join(line for line in SOURCES.splitlines(True) if "loki" not in line)
    _, problems = inspect(written(tmp_path, sources, RULE))
    assert "mine.yaml:4:5: rule 'errors': LogQL needs a source of type loki" in str(problems[0])
