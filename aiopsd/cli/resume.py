"""``aiopsd resume``: lifts the kill switch."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "aiopsd resume"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, default=Path("aiopsd.yaml"), metavar="FILE")
    parser.add_argument("--target", default="*", help="only this target, as runs name it")


def run(args: argparse.Namespace) -> int:
    """Whatever else halts is said: who resumes wants to know that it goes on."""
    from aiopsd.config import state_folder
    from aiopsd.errors import Refused
    from aiopsd.remediation.halt import VOLATILE, HaltFile

    halts = HaltFile(state_folder(args.config))
    what = "everything" if args.target == "*" else args.target
    try:
        lifted = halts.resume(args.target)
    except OSError as error:
        raise Refused(f"NOT resumed: {halts.path}: {error.strerror}") from None
    still = halts.reason(args.target)
    if still:
        raise Refused(f"{what} is still {still} (see {halts.path} and {VOLATILE})")
    print(f"resumed {what}" if lifted else f"{what} was not halted")
    return 0
