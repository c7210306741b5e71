"""``aiopsd incident list`` and ``show ID``: read from the journal, with or without the daemon."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiopsd.model import Anomaly, Decision, Incident, Moment, Run, Suspect

EXAMPLE = "aiopsd incident show INC-7f3a21"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, default=Path("aiopsd.yaml"), metavar="FILE")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("what", choices=("list", "show"))
    parser.add_argument("id", nargs="?", help="for show")


def run(args: argparse.Namespace) -> int:
    import asyncio

    from aiopsd.cli.output import shown
    from aiopsd.config import state_folder

    if (args.what == "show") != (args.id is not None):
        print("usage: aiopsd incident list, or aiopsd incident show ID", file=sys.stderr)
        return 2
    journal = asyncio.run(_read(state_folder(args.config) / "journal.db"))
    incidents, runs, decisions = journal
    if args.what == "list":
        print(_json(incidents) if args.json else shown(map(_line, incidents)) or "none yet")
        return 0
    found = next((i for i in incidents if i.id == args.id), None)
    if found is None:
        print(f"no incident {args.id!r}; `aiopsd incident list` names them", file=sys.stderr)
        return 1
    runs = [run for run in runs if run.incident == found.id]
    decisions = [one for one in decisions if one.incident == found.id]
    if args.json:
        print(_json({"incident": found, "runs": runs, "decisions": decisions}))
    else:
        print(shown(_told(found, runs, decisions)))
    return 0


async def _read(path: Path) -> tuple[list[Incident], list[Run], list[Decision]]:
    """All that the journal keeps, oldest first. Raises ConfigError."""
    import time

    from aiopsd.errors import ConfigError
    from aiopsd.model import Decision, Incident, Run
    from aiopsd.stores import SqliteStore

    try:
        there = path.stat().st_size > 0  # noqa: ASYNC240 - one look, and nothing else runs
    except FileNotFoundError:
        there = False
    except OSError as error:
        raise ConfigError(f"the journal {path}: {error.strerror}") from None
    if not there:
        raise ConfigError(f"no journal at {path}; has the daemon run with this configuration?")
    store = SqliteStore(path, time.time, read_only=True)
    try:
        return (
            list(await store.current(Incident, since_s=0.0)),
            list(await store.current(Run, since_s=0.0)),
            list(await store.current(Decision, since_s=0.0)),
        )
    finally:
        await store.close()


def _json(what: Any) -> str:
    import msgspec

    return msgspec.json.encode(what).decode()


def _line(incident: Incident) -> str:
    opened = datetime.fromtimestamp(incident.opened_s, UTC)
    words = [incident.id, f"{opened:%Y-%m-%d %H:%M}Z", f"{incident.state:8}",
             f"{incident.severity:8}", incident.title]  # fmt: skip
    words += [f"({incident.muted.code})"] if incident.muted is not None else []
    return "  ".join(words)


def _told(incident: Incident, runs: list[Run], decisions: list[Decision]) -> Iterator[str]:
    yield _line(incident)
    yield from _muted(incident)
    lasting = [one.title for one in incident.anomalies if not one.closed]
    if lasting and not incident.closed and incident.title not in lasting:
        more = f" and {len(lasting) - 1} more" if len(lasting) > 1 else ""
        yield f"  that is over; what lasts: {lasting[0]}{more}"
    for anomaly in incident.anomalies:
        yield from _explained(anomaly, over=incident.closed)
    for place, suspect in enumerate(incident.suspects, 1):
        yield from _accused(place, suspect)
    yield from _story([*incident.moments, *(m for one in runs for m in one.moments)], decisions)


def _muted(incident: Incident) -> Iterator[str]:
    """Why nobody is told of it, or of which of its anomalies."""
    if incident.muted is not None:
        yield f"  muted      {incident.muted.text}"
        return
    for one in incident.silenced:
        yield f"  muted      {len(one.anomalies)} of {len(incident.anomalies)}: {one.text}"


def _explained(anomaly: Anomaly, *, over: bool) -> Iterator[str]:
    """Why it fired: what was seen, what was expected, and who says so after how many samples."""
    ended = "still so when all else was over" if over else "still so"
    ended = ended if anomaly.ended_s is None else f"until {_clock(anomaly.ended_s)}"
    season = "" if anomaly.season == "none" else f", by time of {anomaly.season}"
    yield f"  strange    {anomaly.title}"
    said = ", ".join((f"rule {anomaly.rule}", *_numbers(anomaly)))
    yield f"    {said}; since {_clock(anomaly.onset_s)}, {ended}"
    yield (f"    {anomaly.detector}{season}: {anomaly.tier}, score {anomaly.score:.2f} "
           f"after {anomaly.samples} samples")  # fmt: skip
    labels = ", ".join(f"{k}={v}" for k, v in sorted(anomaly.labels.items()))
    yield f"    {labels or 'no labels'}"
    yield from (f"    > {line}" for line in anomaly.evidence)


def _numbers(anomaly: Anomaly) -> Iterator[str]:
    """What is not there has no value but its last one; a band without width is none."""
    if anomaly.detector == "absent":
        yield "no data" if anomaly.observed is None else f"last value {anomaly.observed:.4g}"
        return
    seen = {"observed": anomaly.observed, "expected": anomaly.expected}
    if anomaly.low != anomaly.high:
        seen |= {"low": anomaly.low, "high": anomaly.high}
    yield from (f"{name} {value:.4g}" for name, value in seen.items() if value is not None)


def _accused(place: int, suspect: Suspect) -> Iterator[str]:
    yield f"  suspect {place}  {suspect.id}  {suspect.score:.2f}"
    yield from (f"    + {reason.text}" for reason in suspect.reasons)
    yield from (f"    - {reason.text}" for reason in suspect.against)


def _story(moments: list[Moment], decisions: list[Decision]) -> Iterator[str]:
    lines = [(m.time_s, m.what, m.text) for m in moments]
    lines += [(d.time_s, d.verdict, f"{d.playbook}: {d.reason.text}") for d in decisions]
    for time_s, what, text in sorted(lines):
        yield f"  {_clock(time_s)}  {what:9} {text}"


def _clock(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%H:%M:%S}"
