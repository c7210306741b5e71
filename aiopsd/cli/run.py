"""``aiopsd run``: the daemon."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "aiopsd run -c /etc/aiopsd/aiopsd.yaml"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, default=Path("aiopsd.yaml"), metavar="FILE")
    parser.add_argument("--log", choices=("debug", "info", "warning"), default="info")


def run(args: argparse.Namespace) -> int:
    import asyncio

    from aiopsd.life import serve
    from aiopsd.telemetry import set_up_logging

    set_up_logging(args.log)
    asyncio.run(serve(args.config.resolve()))
    return 0
