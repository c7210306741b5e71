"""What people type. One file a command; each parses, calls and prints, nothing else.

Exit codes: 0 done, 1 it did not work (the reason is on stderr), 2 wrong arguments, 65 done with
what could be read of a damaged file (EX_DATAERR of sysexits.h), 78 wrong configuration (EX_CONFIG:
systemd does not start us again for that), 141 whoever read what we print has gone (128 + SIGPIPE,
as of other programs).
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from aiopsd import __version__
from aiopsd.cli import output
from aiopsd.errors import AiopsdError, ConfigError

COMMANDS = {
    "demo": "a toy shop breaks and heals before your eyes",
    "init": "write a configuration that works, from what is there to be watched",
    "check": "name every wrong entry in configuration, rules and playbooks",
    "run": "the daemon",
    "detect": "judge a CSV file by the daemon's engine",
    "logs": "what logs are made of: their templates",
    "rank": "who did it, and why: the causes of a recorded incident",
    "replay": "what the rules would have said about the last days",
    "status": "what is going on now",
    "incident": "list incidents, or show one with its story",
    "silence": "what nobody wants to know for a while, with owner, reason and end",
    "halt": "the kill switch: no action runs from now on",
    "resume": "lift the kill switch",
}
"""One module of this folder each; imported only when asked for, so that --help is quick."""

EXAMPLE = """examples:
  aiopsd demo                                        see it work, nothing needed
  aiopsd init --prometheus http://127.0.0.1:9090     start on your own metrics
  aiopsd init --loki http://127.0.0.1:3100           or on your logs; --file and --journal too
  aiopsd check && aiopsd run                         the daemon, in this folder
"""


def main(argv: Sequence[str] | None = None) -> int:
    """All that was printed is written when this returns, or it says why not."""
    with output.escaping():
        try:
            try:
                return _done(list(sys.argv[1:] if argv is None else argv))
            finally:
                output.flush()
        except BrokenPipeError:
            output.give_up()
            return output.UNHEARD
        except OSError as error:
            if error.errno not in output.FULL:
                raise
            output.give_up()
            print(f"cannot write: {error.strerror}", file=sys.stderr)
            return 1


def _done(arguments: list[str]) -> int:
    parser = _parser(arguments)
    parsed = parser.parse_args(arguments)
    if not parsed.command:
        parser.print_help()
        return 0
    try:
        return int(parsed.run(parsed))
    except ConfigError as error:
        print(output.shown(str(error).split("\n")), file=sys.stderr)
        return os.EX_CONFIG
    except AiopsdError as error:
        print(output.shown(str(error).split("\n")), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aiopsd",
        description="Watches metrics and logs, finds what is wrong and why, and heals it.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"aiopsd {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    wanted = next((a for a in arguments if not a.startswith("-")), None)
    for name, line in COMMANDS.items():
        one = commands.add_parser(
            name, help=line, description=line, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == wanted:
            module = importlib.import_module(f"aiopsd.cli.{name}")
            one.epilog = f"example:\n  {module.EXAMPLE}"
            module.arguments(one)
            one.set_defaults(run=module.run)
    return parser
