"""``aiopsd resume``: lifts the kill switch."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "aiopsd resume"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, default=Path("aiopsd.yaml"), metavar="FILE")
    parser.add_argument("--target", default="*", help="only this target, as runs name it")


def run(args: argparse.Namespace) -> int:
    from aiopsd.config import state_folder
    from aiopsd.remediation.halt import HaltFile

    lifted = HaltFile(state_folder(args.config)).resume(args.target)
    what = "everything" if args.target == "*" else args.target
    print(f"resumed {what}" if lifted else f"{what} was not halted")
    return 0
