"""``aiopsd incident list`` and ``show ID``: read from the journal, with or without the daemon."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiopsd.model import Incident, Run

EXAMPLE = "aiopsd incident show INC-7f3a21"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, default=Path("aiopsd.yaml"), metavar="FILE")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("what", choices=("list", "show"))
    parser.add_argument("id", nargs="?", help="for show")


def run(args: argparse.Namespace) -> int:
    import asyncio

    import msgspec

    from aiopsd.config import state_folder
    from aiopsd.errors import ConfigError

    incidents, runs = asyncio.run(_read(state_folder(args.config) / "journal.db"))
    if args.what == "show":
        incidents = [i for i in incidents if i.id == args.id]
        if not incidents:
            raise ConfigError(f"no incident {args.id!r}; `aiopsd incident list` names them")
    if args.json:
        print(msgspec.json.encode(incidents).decode())
        return 0
    for incident in incidents:
        print(_line(incident))
        if args.what == "show":
            print("\n".join(_story(incident, [r for r in runs if r.incident == incident.id])))
    return 0


async def _read(path: Path) -> tuple[list[Incident], list[Run]]:
    import time

    from aiopsd.errors import ConfigError
    from aiopsd.model import Incident, Run
    from aiopsd.stores import SqliteStore

    if not path.exists():  # noqa: ASYNC240 - one look, and nothing else runs
        raise ConfigError(f"no journal at {path}; has the daemon run with this configuration?")
    store = SqliteStore(path, time.time, read_only=True)
    try:
        return (
            list(await store.current(Incident, since_s=0.0)),
            list(await store.current(Run, since_s=0.0)),
        )
    finally:
        await store.close()


def _line(incident: Incident) -> str:
    opened = datetime.fromtimestamp(incident.opened_s, UTC)
    return f"{incident.id}  {opened:%Y-%m-%d %H:%M}Z  {incident.state:8}  {incident.severity:8}  {incident.title}"  # noqa: E501


def _story(incident: Incident, runs: list[Run]) -> list[str]:
    lines = []
    for place, suspect in enumerate(incident.suspects, 1):
        lines.append(f"  suspect {place}  {suspect.id}  {suspect.score:.2f}")
        lines += [f"    + {reason.text}" for reason in suspect.reasons]
        lines += [f"    - {reason.text}" for reason in suspect.against]
    moments = [*incident.moments, *(m for one in runs for m in one.moments)]
    for moment in sorted(moments, key=lambda m: m.time_s):
        time_ = datetime.fromtimestamp(moment.time_s, UTC)
        lines.append(f"  {time_:%H:%M:%S}  {moment.what:9} {moment.text}")
    return lines
