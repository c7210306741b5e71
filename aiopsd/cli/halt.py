"""``aiopsd halt``: the kill switch. It works without the daemon, and survives its restart."""

from __future__ import annotations

import argparse
import getpass
import os
import time
from pathlib import Path

EXAMPLE = "aiopsd halt --reason 'black friday'"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, default=Path("aiopsd.yaml"), metavar="FILE")
    parser.add_argument("--target", default="*", help="only this target, as runs name it")
    parser.add_argument("--reason", default="")


def run(args: argparse.Namespace) -> int:
    from aiopsd.config import state_folder
    from aiopsd.errors import Refused
    from aiopsd.remediation.halt import VOLATILE, HaltFile

    if args.target != "*" and "/" not in args.target:
        raise Refused(f"NOT halted: {args.target!r} is no target; a target is kind/id, as "
                      "`aiopsd status` and runs name it, such as service/api")  # fmt: skip
    halts = HaltFile(state_folder(args.config))
    try:
        halts.halt(args.target, by=_who(), reason=args.reason, now_s=time.time())
    except OSError as error:
        raise Refused(f"NOT halted: cannot write {halts.path}: {error.strerror}. As root: "
                      f"touch {VOLATILE}, or kill -USR1 the daemon") from None  # fmt: skip
    what = "everything" if args.target == "*" else args.target
    whose = "" if args.target == "*" else " on it"
    print(f"halted {what}: no step starts{whose} from now on; "
          f"`aiopsd resume` lifts it ({halts.path})")  # fmt: skip
    return 0


def _who() -> str:
    """A container's user may have no name, and the switch must work for it too."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
