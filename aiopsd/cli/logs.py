"""``aiopsd logs``: what logs are made of. One module of this folder for each part."""

from __future__ import annotations

import argparse
import importlib

PARTS = {
    "mine": "the templates of a log, and which of them each line is",
    "score": "how strange its lines, sessions or minutes are",
}
"""Each is a module ``logs_NAME``."""

EXAMPLE = """aiopsd logs mine app.log                   its templates, as a table
  aiopsd logs mine app.log.gz -o lines.csv   the template of each line
  aiopsd logs score app.log -o scores.csv    how strange its sessions, lines or minutes are"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parts = parser.add_subparsers(dest="part", metavar="PART", required=True)
    for name, line in PARTS.items():
        module = importlib.import_module(f"aiopsd.cli.logs_{name}")
        one = parts.add_parser(
            name,
            help=line,
            description=module.__doc__,
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.arguments(one)
        one.set_defaults(run_part=module.run)


def run(args: argparse.Namespace) -> int:
    return int(args.run_part(args))
