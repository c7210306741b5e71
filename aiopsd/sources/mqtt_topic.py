"""What an MQTT topic is called as a metric, and which numbers a payload holds. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from aiopsd.model import Labels

_MAX_PAYLOAD_BYTES = 64 * 1024
_MAX_NUMBERS = 256
_MAX_DEPTH = 8
_MILLISECONDS_FROM = 1e11  # as seconds, that is the year 5138
_NAMED = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Pattern:
    """``plant/+/{line}/{metric}``: named segments become labels, ``{metric}`` the name.

    Without ``{metric}`` the last plain segment is the name. Raises ValueError with a sentence.
    """

    def __init__(self, text: str, name: str, labels: Labels) -> None:
        segments = text.split("/")
        self._text, self._labels = text, labels
        _check(text, segments)
        named = [found[1] for one in segments if (found := _NAMED.fullmatch(one))]
        if len(set(named)) < len(named) or labels.keys() & set(named):
            raise ValueError(f"`topic: {text}` names a label twice")
        if "__name__" in {*named, *labels}:
            raise ValueError(f"`topic: {text}`: the name is no label; use `name`")
        self._name = name or _default_name(text, segments)
        if unknown := set(_NAMED.findall(self._name)) - set(named):
            raise ValueError(f"`name: {name}`: no segment of {text} is called {unknown.pop()}")
        self.filter = "/".join("+" if _NAMED.fullmatch(one) else one for one in segments)
        self._regex = re.compile(_regex(segments), re.DOTALL)

    def read(self, topic: str) -> tuple[str, Labels] | None:
        """The metric's name and labels, when the topic is one of ours."""
        found = self._regex.fullmatch(topic)
        if found is None:
            return None
        parts = found.groupdict()
        name = _NAMED.sub(lambda one: parts[one[1]], self._name)
        labels = {label: part for label, part in parts.items() if part and label != "metric"}
        return name, {**self._labels, **labels}


def _check(text: str, segments: list[str]) -> None:
    if not text or "\0" in text or segments[0] == "$share":
        raise ValueError(f"`topic: {text}` is no topic that can be followed")
    if "#" in segments[:-1]:
        raise ValueError(f"`topic: {text}`: # may stand at the end only")
    for one in segments:
        plain = one in ("+", "#") or _NAMED.fullmatch(one) or not re.search(r"[+#{}]", one)
        if not plain:
            raise ValueError(f"`topic: {text}`: {one!r} must be a word, +, # or a {{name}}")


def _default_name(text: str, segments: list[str]) -> str:
    if "{metric}" in segments:
        return "{metric}"
    words = [one for one in segments if one not in ("", "+", "#") and not _NAMED.fullmatch(one)]
    if not words:
        raise ValueError(f"`topic: {text}` says no metric's name; add `name`")
    return words[-1]


def _regex(segments: list[str]) -> str:
    if segments == ["#"]:
        return r"(?!\$).*"
    parts = []
    for one in segments:
        named = _NAMED.fullmatch(one)
        parts.append(f"(?P<{named[1]}>[^/]*)" if named else {"+": "[^/]*"}.get(one, re.escape(one)))
    wild = "" if segments[0].startswith("$") else r"(?!\$)"
    if segments[-1] == "#":  # the parent itself is among them
        return f"{wild}{'/'.join(parts[:-1])}(?:/.*)?"
    return wild + "/".join(parts)


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a payload says: values by the ending of their name, and when, if it says so."""

    values: Mapping[str, float]
    time_s: float | None = None


def numbers(payload: bytes) -> Numbers:
    """A number; or a JSON object, whose leaves are named by their path.

    ``value`` is the metric itself; ``time`` or ``ts`` are seconds or milliseconds since the
    epoch. Raises ValueError for anything else.
    """
    if len(payload) > _MAX_PAYLOAD_BYTES:
        raise ValueError(f"more than {_MAX_PAYLOAD_BYTES} bytes")
    if b"_" not in payload:  # which Python would take between digits
        try:
            return Numbers({"": float(payload)})
        except ValueError:
            pass
    try:
        said = msgspec.json.decode(payload)
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("neither a number nor JSON") from None
    if not isinstance(said, dict):
        raise ValueError("JSON, but not an object of numbers")
    time_s = _time_s(said.pop("time", None)) or _time_s(said.pop("ts", None))
    try:
        values = dict(_leaves(said, ()))
    except OverflowError:
        raise ValueError("a number too large to be one") from None
    if not 0 < len(values) <= _MAX_NUMBERS:
        raise ValueError(f"an object with {len(values)} numbers")
    return Numbers(values, time_s)


def _time_s(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value / 1000 if value > _MILLISECONDS_FROM else float(value)


def _leaves(said: Mapping[str, object], path: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    if len(path) >= _MAX_DEPTH:
        raise ValueError(f"deeper than {_MAX_DEPTH}")
    for key, value in said.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))
        elif isinstance(value, int | float):
            yield "" if key == "value" and not path else "_".join((*path, key)), float(value)


def metric_name(name: str, ending: str) -> str:
    """As Prometheus would have it: letters, digits, ``_`` and ``:``, no digit first."""
    whole = re.sub(r"[^A-Za-z0-9_:]", "_", f"{name}_{ending}" if ending else name)
    return whole if whole and not whole[0].isdigit() else f"_{whole}"
