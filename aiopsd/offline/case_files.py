"""Files of a recorded case, each as rows of one kind. Errors say which file, where, and what."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from aiopsd.errors import Refused
from aiopsd.offline.moments import moments

T = TypeVar("T")
Stamp = float | str
MAX_BYTES: Final = 1 << 30


class Incident(msgspec.Struct, frozen=True):
    """incident.json"""

    detect_time: Stamp | None = None
    target_service: str | None = None
    target_metric: str | None = None
    step_s: float | None = None


class Topology(msgspec.Struct, frozen=True):
    """topology.json"""

    edges: tuple[tuple[str, str], ...] = ()


class Fired(msgspec.Struct, frozen=True):
    """alert.json"""

    service: str = ""
    metric: str = ""
    summary: str = ""
    fired_at: Stamp | None = None


class Deploy(msgspec.Struct, frozen=True):
    """deploys.json"""

    timestamp: Stamp
    service: str
    commit_sha: str = ""
    version: str = ""


class Flag(msgspec.Struct, frozen=True):
    """flags.json"""

    timestamp: Stamp
    flag: str
    service: str = ""


class Happened(msgspec.Struct, frozen=True):
    """events.json"""

    t: Stamp
    service: str
    type: str = "deploy"
    version: str = ""


class Committed(msgspec.Struct, frozen=True):
    """commits.json"""

    sha: str
    message: str = ""
    files_changed: tuple[str, ...] = ()
    diff: str | None = ""


def read_json(path: Path, shape: type[T]) -> T | None:
    """None where there is no such file. Raises Refused."""
    try:
        text = _bytes(path).decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise Refused(f"{path}: not text") from None
    try:
        return msgspec.convert(json.loads(text), shape)
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        raise Refused(f"{where}: not JSON: {error.msg.lower()}") from None
    except RecursionError:
        raise Refused(f"{path}: nested too deep") from None
    except msgspec.ValidationError as error:
        raise Refused(f"{path}: {_plain(str(error))}") from None


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line of JSON; nothing where there is no such file. A last
    line that was cut off is left out. Raises Refused."""
    try:
        lines = _bytes(path).split(b"\n")
    except FileNotFoundError:
        return
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if number == len(lines):
                return
            raise Refused(f"{path}:{number}: not JSON: {error}") from None
        if not isinstance(found, dict):
            raise Refused(f"{path}:{number}: not an object")
        yield number, found


def read_rows(path: Path, *needed: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and row of a CSV file with a header; nothing where there is no such file.
    Raises Refused, also where a needed column is missing."""
    try:
        text = _bytes(path).decode("utf-8-sig", errors="replace")
    except FileNotFoundError:
        return
    try:
        reader = csv.DictReader(text.splitlines(), restval="")
        missing = [name for name in needed if name not in (reader.fieldnames or ())]
        if missing:
            raise Refused(f"{path}:1: no column {missing[0]!r} in the header")
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise Refused(f"{path}: not a table: {error}") from None


def number_of(row: Mapping[str, str], name: str, where: str, empty: float | None = None) -> float:
    """A cell as a number; ``empty`` for one that says nothing, if it may. Raises Refused."""
    text = (row.get(name) or "").strip()
    if empty is not None and text.lower() in ("", "nan"):
        return empty
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise Refused(f"{where}: {name}: {text[:60]!r} is not a number")
    return found


def moment_of(stamp: object, where: str) -> float:
    """Seconds since the epoch. Raises Refused."""
    is_text = isinstance(stamp, str)
    number = float(stamp) if isinstance(stamp, int | float) else math.nan
    found = float(moments([str(stamp)])[0]) if is_text else number
    if not math.isfinite(found):
        raise Refused(f"{where}: {str(stamp)[:60]!r} is not a time")
    return found


def _bytes(path: Path) -> bytes:
    """Raises FileNotFoundError, and Refused for all else."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Refused(f"{path}: larger than {MAX_BYTES >> 30} GiB")
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror or error}") from None


def _plain(message: str) -> str:
    """msgspec's words without its marks: ``at $[0].service`` becomes ``at [0].service``."""
    return message.replace("`", "").replace(" - at $.", ", at ").replace(" - at $", ", at ")
