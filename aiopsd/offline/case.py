"""A recorded case, one folder: metrics.csv, and whatever else is known of the incident.

What may be there: incident.json, topology.json, log_counts.csv or logs.ndjson, trace_edges.csv,
alert.json, and changes in deploys.json, flags.json, events.json, with their diffs in commits.json.
docs/ranking.md says what each holds.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from aiopsd.correlation.attribution import Alert, Candidate, Commit, Line, Story
from aiopsd.correlation.ranking import CallSpans, Column, LineCounts, Traces, Window
from aiopsd.correlation.ranking.kinds import kind_of
from aiopsd.errors import Refused
from aiopsd.offline import case_files as files
from aiopsd.offline.table import read_table

NORMAL: Final = "normal"  # the window of log counts and spans that is not of the incident
_LINK: Final = re.compile(r"(in|out)(\d*)-(.+)")
_VARIES: Final = re.compile(r"[0-9a-f]{8,}|\d+(\.\d+)?")
_KNOWN_FIELDS: Final = frozenset(["stack", "db.statement", "rpc.method", "query.field"])


@dataclass(frozen=True, slots=True)
class Case:
    window: Window
    story: Story
    remarks: tuple[str, ...]  # what was passed over, or assumed, for people


def read_case(folder: Path) -> Case:
    """Raises Refused: ``file:line: what is wrong``."""
    if not folder.is_dir():
        raise Refused(f"{folder}: no such folder; a case is a folder with a metrics.csv")
    if not (folder / "metrics.csv").exists():
        raise Refused(f"{folder}: has no metrics.csv")
    alert = _alert(folder)
    lines = _lines(folder)
    window, remarks = _window(folder, alert, lines)
    return Case(window, _story(folder, alert, lines), remarks)


def _window(folder: Path, alert: Alert, lines: tuple[Line, ...]) -> tuple[Window, tuple[str, ...]]:
    table = read_table(str(folder / "metrics.csv"))
    remarks = list(table.remarks)
    order = np.argsort(table.times_s, kind="stable")
    order = order[np.isfinite(table.times_s[order])]
    times_s, values = table.times_s[order], table.values[order]
    incident = files.read_json(folder / "incident.json", files.Incident) or files.Incident()
    step_secs = incident.step_s or _step(times_s)
    if not (math.isfinite(step_secs) and step_secs > 0):
        raise Refused(f"{folder / 'incident.json'}: step_s must be positive")
    if incident.detect_time is not None:
        detected_s = files.moment_of(
            incident.detect_time, f"{folder / 'incident.json'}: detect_time"
        )
    elif alert.time_s is not None:
        detected_s = alert.time_s
    else:
        detected_s = float(times_s[int(len(times_s) * 0.75)])
        remarks.append(f"{folder}: no detect_time in incident.json: taken after 3/4 of the rows")
    if not times_s[0] <= detected_s <= times_s[-1] + step_secs:
        remarks.append(
            f"{folder}: detected at {detected_s:.0f}, outside of the rows of metrics.csv"
        )
    topology = files.read_json(folder / "topology.json", files.Topology) or files.Topology()
    columns = _columns(table.names)
    return Window(
        times_s, values, columns, detected_s, step_secs, topology.edges,
        incident.target_service or "", incident.target_metric or "",
        _line_counts(folder, lines), _traces(folder),
    ), tuple(remarks)  # fmt: skip


def _step(times_s: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    steps = np.diff(times_s)
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else 60.0


def _columns(names: tuple[str, ...]) -> tuple[Column, ...]:
    """``service_metric``; a metric ``out50-other`` is of calls to another service, ``in50-other``
    of calls from it."""
    pairs = [(name.split("_", 1) if "_" in name else (name, name)) for name in names]
    services = {service for service, _ in pairs}
    found = []
    for service, metric in pairs:
        link = _LINK.fullmatch(metric)
        kind = kind_of(metric)
        if link and link[3] in services:
            ends = {"callee" if link[1] == "out" else "caller": link[3]}
            found.append(Column(service, metric, kind, pool=f"{link[1]}{link[2]}", **ends))
        else:
            found.append(Column(service, metric, kind))
    return tuple(found)


# --- lines and spans --------------------------------------------------------------------


def _lines(folder: Path) -> tuple[Line, ...]:
    path = folder / "logs.ndjson"
    found = []
    for number, one in files.read_lines(path):
        time_s = files.moment_of(one.get("timestamp"), f"{path}:{number}: timestamp")
        known = [str(one[name]) for name in sorted(_KNOWN_FIELDS & one.keys())]
        fields = [name for name in one if "." in name]
        level = str(one.get("severity_text") or one.get("level") or "")
        text = str(one.get("msg") or one.get("message") or "")
        service = str(one.get("service") or "")
        more = " ".join([*known, *fields])
        found.append(Line(time_s, service, text, more, level.upper() == "INFO", level))
    return tuple(found)


def _line_counts(folder: Path, lines: tuple[Line, ...]) -> LineCounts | None:
    path = folder / "log_counts.csv"
    services, templates, times_s, counts = [], [], [], []
    windows: set[str] = set()
    for number, row in files.read_rows(path, "service", "template", "count"):
        where = f"{path}:{number}"
        services.append(row["service"])
        templates.append(f"{row.get('level', '')} {row['template']}".strip())
        counts.append(files.number_of(row, "count", where))
        if window := row.get("window"):
            windows.add(window)
            times_s.append(-math.inf if window == NORMAL else math.inf)
        else:
            times_s.append(files.moment_of(row.get("timestamp"), f"{where}: timestamp"))
    covered = (1.0, float(max(1, len(windows - {NORMAL})))) if windows else None
    if not services and lines:
        services = [line.service for line in lines]
        templates = [f"{line.level} {_VARIES.sub('<n>', line.text)}" for line in lines]
        times_s = [line.time_s for line in lines]
        counts = [1.0] * len(lines)
    if not services:
        return None
    numbers = np.array(times_s), np.array(counts)
    return LineCounts(tuple(services), tuple(templates), *numbers, covered)


def _traces(folder: Path) -> Traces:
    path = folder / "trace_edges.csv"
    spans, windows = [], set()
    needed = ("caller", "callee", "operation", "window", "count", "mean_us", "parent_gap_mean_us")
    for number, row in files.read_rows(path, *needed):
        where = f"{path}:{number}"
        windows.add(row["window"])
        count, mean_us, gap_us = (files.number_of(row, name, where, 0.0) for name in needed[4:])
        spans.append(
            CallSpans(row["caller"], row["callee"], row["operation"], row["window"] != NORMAL,
                      count, mean_us / 1e6, gap_us / 1e6)
        )  # fmt: skip
    return Traces(tuple(spans), float(max(1, len(windows - {NORMAL}))))


# --- changes ----------------------------------------------------------------------------


def _alert(folder: Path) -> Alert:
    path = folder / "alert.json"
    fired = files.read_json(path, files.Fired)
    if fired is None:
        return Alert()
    time_s = (
        None if fired.fired_at is None else files.moment_of(fired.fired_at, f"{path}: fired_at")
    )
    return Alert(fired.service, f"{fired.summary} {fired.metric}".strip(), time_s)


def _story(folder: Path, alert: Alert, lines: tuple[Line, ...]) -> Story:
    commits = {
        one.sha: Commit(one.message, one.files_changed, one.diff or "")
        for one in files.read_json(folder / "commits.json", tuple[files.Committed, ...]) or ()
    }
    return Story(
        (*_deploys(folder, commits), *_flags(folder), *_events(folder)),
        lines, alert, bool(commits), tuple(commits.values()),
    )  # fmt: skip


def _deploys(folder: Path, commits: dict[str, Commit]) -> list[Candidate]:
    path = folder / "deploys.json"
    return [
        Candidate(
            one.commit_sha or one.version, "deploy", one.service,
            files.moment_of(one.timestamp, f"{path}: [{at}].timestamp"),
            commit=commits.get(one.commit_sha),
        )
        for at, one in enumerate(files.read_json(path, tuple[files.Deploy, ...]) or ())
    ]  # fmt: skip


def _flags(folder: Path) -> list[Candidate]:
    path = folder / "flags.json"
    return [
        Candidate(
            one.flag, "flag", one.service,
            files.moment_of(one.timestamp, f"{path}: [{at}].timestamp"), one.flag,
        )
        for at, one in enumerate(files.read_json(path, tuple[files.Flag, ...]) or ())
    ]  # fmt: skip


def _events(folder: Path) -> list[Candidate]:
    path = folder / "events.json"
    return [
        Candidate(
            one.version or one.type, one.type, one.service,
            files.moment_of(one.t, f"{path}: [{at}].t"),
        )
        for at, one in enumerate(files.read_json(path, tuple[files.Happened, ...]) or ())
    ]  # fmt: skip
