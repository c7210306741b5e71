"""``aiopsd check``: every wrong entry at once, each with its place."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiopsd.config import Config

EXAMPLE = "aiopsd check -c aiopsd.yaml"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, default=Path("aiopsd.yaml"), metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object a problem")


def run(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from aiopsd.cli.output import shown
    from aiopsd.config import inspect

    config, problems = inspect(args.config)
    for problem in problems:
        print(json.dumps(asdict(problem)) if args.json else shown([str(problem)]))
    if problems and not args.json:
        print(f"\n{_counted(len(problems), 'wrong entry', 'wrong entries')}")
    if config and not problems and not args.json:
        print("\n".join(_good(config)))
    return 1 if problems else 0


def _good(config: Config) -> list[str]:
    modes = [p.mode for p in config.playbooks]
    counts = ", ".join(f"{modes.count(m)} {m}" for m in dict.fromkeys(modes))
    parts = (
        _counted(len(config.daemon.sources), "source", "sources"),
        _counted(len(config.rules), "rule", "rules"),
        _counted(len(modes), "playbook", "playbooks") + (f" ({counts})" if counts else ""),
    )
    lines = [f"good: {', '.join(parts)}; "
             f"no playbook may go beyond {config.daemon.automation.mode}"]  # fmt: skip
    if not config.rules:
        folder = config.base / config.daemon.rules
        lines.append(f"but no series opens an incident: no rules in {folder}")
    return lines + _empty_paths(config)


def _empty_paths(config: Config) -> list[str]:
    """No fault: a file may come later."""
    from aiopsd.sources.file import FileSettings, unmatched

    files = {n: s for n, s in config.daemon.sources.items() if isinstance(s, FileSettings)}
    return [
        f"but source {name}: no file matches {pattern} yet"
        for name, settings in files.items()
        for pattern in unmatched(settings, config.base)
    ]


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
