"""``aiopsd check``: every wrong entry at once, each with its place."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

EXAMPLE = "aiopsd check -c aiopsd.yaml"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, default=Path("aiopsd.yaml"), metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object a problem")


def run(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from aiopsd.config import inspect

    config, problems = inspect(args.config)
    for problem in problems:
        print(json.dumps(asdict(problem)) if args.json else problem)
    if args.json:
        return 1 if problems else 0
    if problems:
        print(f"\n{len(problems)} wrong {'entry' if len(problems) == 1 else 'entries'}")
        return 1
    if config:
        modes = [p.mode for p in config.playbooks]
        counts = ", ".join(f"{modes.count(m)} {m}" for m in dict.fromkeys(modes))
        print(f"good: {len(config.daemon.sources)} sources, {len(config.rules)} rules, "
              f"{len(config.playbooks)} playbooks{f' ({counts})' if counts else ''}; "
              f"no playbook may go beyond {config.daemon.automation.mode}")  # fmt: skip
    return 0
