"""``aiopsd demo``: a toy shop breaks and heals before your eyes."""

from __future__ import annotations

import argparse

EXAMPLE = "aiopsd demo --fault slow --service orders"
FAULTS = ("slow", "errors", "leak", "crash", "none")
SERVICES = ("web", "catalog", "checkout", "orders", "payments")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fault", choices=FAULTS, default="errors", help="what the release does")
    parser.add_argument("--service", choices=SERVICES, default="payments", help="where it goes")
    parser.add_argument("--seed", type=int, default=0, help="of the shop's load and latency")
    parser.add_argument("--linger", action="store_true", help="keep the Slack-like page open")


def run(args: argparse.Namespace) -> int:
    import asyncio

    from aiopsd.demo.run import Options, run

    return asyncio.run(run(Options(args.service, args.fault, args.seed, args.linger)))
