"""``aiopsd silence add|list|end``: what people do not want to know for a while. Asks the daemon."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

EXAMPLE = "aiopsd silence add service=db 'rule=~disk_.*' --for 2h --reason 'new disks'"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, default=Path("aiopsd.yaml"), metavar="FILE")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("what", choices=("add", "list", "end"))
    parser.add_argument("words", nargs="*", metavar="MATCHER|ID",
                        help="add: all must fit, such as service=db; end: which")  # fmt: skip
    parser.add_argument("--for", dest="lasts", metavar="TIME", help="such as 90m or 2d")
    parser.add_argument("--until", metavar="WHEN", help="instead: 2026-12-01T08:00+01:00")
    parser.add_argument("--from", dest="starts", metavar="WHEN", help="none: now")
    parser.add_argument("--reason", default="")
    parser.add_argument("--owner", default="", help="who answers for it; none: you")
    parser.add_argument("--maintenance", action="store_true", help="it is broken on purpose")
    parser.add_argument("--all", action="store_true", help="list: also what is over")


def run(args: argparse.Namespace) -> int:
    from aiopsd.errors import Refused

    if args.what != "list" and not args.words:
        raise Refused(f"which? {EXAMPLE if args.what == 'add' else 'aiopsd silence end ID'}")
    return {"add": _add, "list": _list, "end": _end}[args.what](args)


def _add(args: argparse.Namespace) -> int:
    from aiopsd.cli.asking import ask

    one = ask(args.config, {"do": "silence add", **wanted(args, time.time())})
    return _shown(args, one)


def _end(args: argparse.Namespace) -> int:
    from aiopsd.cli.asking import ask

    for name in args.words:
        _shown(args, ask(args.config, {"do": "silence end", "id": name}))
    return 0


def _shown(args: argparse.Namespace, one: dict[str, Any]) -> int:
    from aiopsd.cli.output import shown

    print(json.dumps(one) if args.json else shown(_told(one, [], time.time())))
    return 0


def _list(args: argparse.Namespace) -> int:
    from aiopsd.cli.output import shown
    from aiopsd.cli.status import asked

    silences, incidents = asked(args.config, "silences", "incidents").values()
    now_s = time.time()
    listed = [one for one in silences if args.all or not _is_over(one, now_s)]
    if args.json:
        print(json.dumps(listed, indent=1))
        return 0
    lines = [line for one in listed for line in _told(one, incidents, now_s)]
    print(shown(lines) if lines else "none")
    return 0


def _told(one: dict[str, Any], incidents: list[dict[str, Any]], now_s: float) -> Iterator[str]:
    """What it mutes now is what will be told when it ends."""
    what = ", ".join(f'{m["label"]}{m["op"]}"{m["value"]}"' for m in one["matchers"])
    when = f"until {_clock(one['ends_s'])}"
    if _is_over(one, now_s):
        by = f" by {one['ended_by']}" if one.get("ended_by") else ""
        when = f"over since {_clock(one.get('ended_s', one['ends_s']))}{by}"
    elif now_s < one["starts_s"]:
        when = f"from {_clock(one['starts_s'])} {when}"
    yield f"{one['id']}  {one.get('window') or one.get('kind', 'silence')}  {when}  {what}"
    yield f"    {one['owner']}: {one['reason']}"
    for incident in incidents:
        hit = next((m for m in incident.get("silenced", []) if m["by"] == one["id"]), None)
        if hit is not None:
            open_ = incident.get("state", "open") == "open"
            many = f"{len(hit['anomalies'])} of {len(incident['anomalies'])} anomalies"
            word = "mutes" if open_ else "muted"
            yield f"    {word} {incident['id']} ({many}): {incident['title']}"


def _is_over(one: dict[str, Any], now_s: float) -> bool:
    return "ended_s" in one or now_s >= one["ends_s"]


def _clock(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%MZ}"


def wanted(args: argparse.Namespace, now_s: float) -> dict[str, Any]:
    """What is asked of the daemon. Raises Refused."""
    from aiopsd.errors import Refused
    from aiopsd.settings import Duration

    if bool(args.lasts) == bool(args.until):
        raise Refused("for how long? --for 2h, or --until 2026-12-01T08:00+01:00")
    starts_s = _when(args.starts) if args.starts else now_s
    try:
        ends_s = starts_s + Duration.parse(args.lasts) if args.lasts else _when(args.until)
    except ValueError as error:
        raise Refused(f"--for: {error}") from None
    return {
        "matchers": args.words,
        "owner": args.owner,
        "reason": args.reason,
        "starts_s": starts_s,
        "ends_s": ends_s,
        "kind": "maintenance" if args.maintenance else "silence",
    }


def _when(text: str) -> float:
    from aiopsd.errors import Refused

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"{text!r} is no time; write 2026-12-01T08:00+01:00") from None
    if found.tzinfo is None:
        raise Refused(f"{text!r} is a time of which zone? Write {text}Z, or {text}+01:00")
    return found.timestamp()
