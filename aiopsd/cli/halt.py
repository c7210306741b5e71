"""``aiopsd halt``: the kill switch. It works without the daemon, and survives its restart."""

from __future__ import annotations

import argparse
import getpass
import time
from pathlib import Path

EXAMPLE = "aiopsd halt --reason 'black friday'"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, default=Path("aiopsd.yaml"), metavar="FILE")
    parser.add_argument("--target", default="*", help="only this target, as runs name it")
    parser.add_argument("--reason", default="")


def run(args: argparse.Namespace) -> int:
    from aiopsd.config import state_folder
    from aiopsd.remediation.halt import HaltFile

    halts = HaltFile(state_folder(args.config))
    halts.halt(args.target, by=getpass.getuser(), reason=args.reason, now_s=time.time())
    what = "everything" if args.target == "*" else args.target
    print(f"halted {what}: no step starts from now on; `aiopsd resume` lifts it")
    return 0
