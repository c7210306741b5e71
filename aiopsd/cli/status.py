"""``aiopsd status``: what is going on now, asked of the running daemon."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXAMPLE = "aiopsd status --json"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, default=Path("aiopsd.yaml"), metavar="FILE")
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    from aiopsd.cli.output import shown

    rooms = ("incidents", "runs", "decisions", "halts", "silences", "health", "mute")
    found = asked(args.config, *rooms)
    print(json.dumps(found, indent=1) if args.json else shown(_lines(found, time.time())))
    return 0


def asked(config: Path, *rooms: str) -> dict[str, list[dict[str, Any]]]:
    """What the daemon of this configuration says of each. Raises Unreachable."""
    from aiopsd.config import web_address

    host, port = web_address(config)
    where = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    return {what: _get(f"{where}/api/v1/{what}") for what in rooms}


OUTCOMES = {
    "healed": "healed it; waiting until it stays quiet",
    "healed_by_itself": "not needed, it healed by itself",
    "superseded": "stopped, the reason for it was gone",
}
NEEDS_YOU = "NEEDS YOU: it ran and did not help (aiopsd incident show)"


def _lines(found: dict[str, list[dict[str, Any]]], now_s: float) -> Iterator[str]:
    """The API leaves out what has its default: a state that is missing is the first one."""
    open_ = [i for i in found["incidents"] if i.get("state", "open") == "open"]
    yield _headline(open_, found)
    yield from _unable(found, now_s)
    yield from _quiet(found["silences"], open_, now_s)
    for incident in open_:
        age = _age(now_s - incident["opened_s"])
        yield f"{incident['severity']:8} {incident['title']}  {incident['id']}, {age}"
        yield from _lasting(incident)
        yield from _muted(incident)
        for suspect in incident.get("suspects", [])[:1]:
            yield f"         likely {suspect['id']} {suspect['score']:.2f}"
        for ended in (r for r in found["runs"] if r["incident"] == incident["id"]):
            if ended.get("outcome"):
                yield f"         {ended['playbook']}: {OUTCOMES.get(ended['outcome'], NEEDS_YOU)}"
        for said in (d for d in found["decisions"] if d["incident"] == incident["id"]):
            yield f"         {said['playbook']}: {said['verdict']}, {said['reason']['text']}"
    for run_ in found["runs"]:
        state = run_.get("state", "running")
        if state != "closed":
            yield f"{state:8} {run_['playbook']} on {run_['target']}"


def _headline(open_: list[dict[str, Any]], found: dict[str, list[dict[str, Any]]]) -> str:
    """It says what follows: where sources are gone or rules mute, nobody knows that all is well."""
    if open_:
        many = "One incident" if len(open_) == 1 else f"{len(open_)} incidents"
        muted = sum("muted" in one for one in open_)
        return f"{many}, {muted} of them told to nobody." if muted else f"{many}."
    lasting = [run_ for run_ in found["runs"] if run_.get("state", "running") != "closed"]
    told = [
        _many(found["halts"], "halt", "halts"),
        _many(found["health"], "part gone", "parts gone"),
        _many(found["mute"], "rule mute", "rules mute"),
        _many(lasting, "run not over", "runs not over"),
    ]
    but = ", ".join(filter(None, told))
    return f"No incident, but {but}." if but else "Nothing is wrong."


def _many(found: list[dict[str, Any]], one: str, many: str) -> str:
    return "" if not found else f"{len(found)} {one if len(found) == 1 else many}"


def _lasting(incident: dict[str, Any]) -> Iterator[str]:
    """What holds it open, where what named it is over: the name stays while it heals."""
    titles = [a["title"] for a in incident.get("anomalies", []) if a.get("ended_s") is None]
    if titles and incident["title"] not in titles:
        more = f" and {len(titles) - 1} more" if len(titles) > 1 else ""
        yield f"         that is over; what lasts: {titles[0]}{more}"


def _muted(incident: dict[str, Any]) -> Iterator[str]:
    """Why nobody is told of it, or of which part of it."""
    if "muted" in incident:
        yield f"         muted: {incident['muted']['text']}"
        return
    for one in incident.get("silenced", []):
        many = f"{len(one['anomalies'])} of {len(incident['anomalies'])}"
        yield f"         {many} anomalies {one['text']}"


def _quiet(
    silences: list[dict[str, Any]], open_: list[dict[str, Any]], now_s: float
) -> Iterator[str]:
    """Who wants to know nothing of what, until when, and what that mutes now."""
    for one in silences:
        if "ended_s" in one or now_s >= one["ends_s"]:
            continue
        what = ", ".join(f"{m['label']}{m['op']}{m['value']}" for m in one["matchers"])
        when = f"for {_age(one['ends_s'] - now_s)}"
        if one["starts_s"] > now_s:
            when = f"in {_age(one['starts_s'] - now_s)}"
        hits = sum(m["by"] == one["id"] for i in open_ for m in i.get("silenced", []))
        mutes = f"; mutes in {hits} open" if hits else ""
        name = f"{one.get('window') or one.get('kind', 'silence')} {one['id']}"
        yield f"silent   {what} {when} by {one['owner']}: {one['reason']} ({name}){mutes}"


def _unable(found: dict[str, list[dict[str, Any]]], now_s: float) -> Iterator[str]:
    """Who does not act, does not answer, or has nothing to judge."""
    for halt in found["halts"]:
        target = "everything" if halt["id"] == "*" else halt["id"]
        yield f"HALTED   {target} by {halt['by']} {halt.get('reason', '')}".rstrip()
    for part in found["health"]:
        yield f"gone     {part['part']} for {_age(now_s - part['since_s'])}: {part['reason']}"
    for rule in found["mute"]:
        yield f"mute     rule {rule['rule']} {rule['reason']}"


def _age(secs: float) -> str:
    return f"{secs:.0f} s" if secs < 120 else f"{secs / 60:.0f} min"


def _get(url: str) -> Any:
    from http.client import HTTPException
    from urllib.request import ProxyHandler, build_opener

    from aiopsd.errors import Unreachable

    try:  # our own address, from the configuration: never by way of a proxy
        with build_opener(ProxyHandler({})).open(url, timeout=5) as answer:
            return json.load(answer)
    except (OSError, HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise Unreachable(f"no daemon answers at {url}: {why}. Is `aiopsd run` up?") from None
    except ValueError:
        raise Unreachable(f"what answers at {url} is not aiopsd") from None
