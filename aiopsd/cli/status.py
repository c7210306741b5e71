"""``aiopsd status``: what is going on now, asked of the running daemon."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

EXAMPLE = "aiopsd status --json"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, default=Path("aiopsd.yaml"), metavar="FILE")
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    from aiopsd.config import web_address

    host, port = web_address(args.config)
    found = {
        what: _get(f"http://{host}:{port}/api/v1/{what}")
        for what in ("incidents", "runs", "decisions", "halts", "health")
    }
    if args.json:
        print(json.dumps(found, indent=1))
        return 0
    print("\n".join(_lines(found, time.time())))
    return 0


def _lines(found: dict[str, list[dict[str, Any]]], now_s: float) -> list[str]:
    open_ = [i for i in found["incidents"] if i.get("state", "open") == "open"]
    count = {0: "Nothing is wrong.", 1: "One incident."}.get(len(open_), f"{len(open_)} incidents.")
    lines = [count]
    for halt in found["halts"]:
        lines.append(f"HALTED {halt['id']} by {halt['by']} {halt.get('reason', '')}".rstrip())
    for part in found["health"]:
        lines.append(f"gone   {part['part']} for {now_s - part['since_s']:.0f} s: {part['reason']}")
    for incident in open_:
        lines.append(f"{incident['severity']:8} {incident['title']}  {incident['id']}, "
                     f"{(now_s - incident['opened_s']) / 60:.0f} min")  # fmt: skip
        for suspect in incident.get("suspects", [])[:1]:
            lines.append(f"         likely {suspect['score']:.2f} {suspect['id']}")
    for run_ in found["runs"]:
        if run_.get("state") != "closed":
            lines.append(f"running  {run_['playbook']} on {run_['target']}: {run_.get('state')}")
    return lines


def _get(url: str) -> Any:
    from urllib.error import URLError
    from urllib.request import urlopen

    from aiopsd.errors import Unreachable

    try:
        with urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address, from the config
            return json.load(answer)
    except (URLError, OSError, ValueError) as error:
        raise Unreachable(f"the daemon does not answer at {url}: {error}") from None
