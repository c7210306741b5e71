"""The Prometheus text format 0.0.4 and OpenMetrics 1.0: lines to series and values.

Sources: https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://prometheus.io/docs/specs/om/open_metrics_spec/. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aiopsd.model import Labels

_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_BRACES = rf'\{{(?:[^"{{}}]|{_QUOTED})*+\}}'
_LINE = re.compile(
    rf"""[ \t]*+ (?P<series> [a-zA-Z_:][a-zA-Z0-9_:]*+ (?: [ \t]*+ {_BRACES} )? | {_BRACES} )
         [ \t]*+ (?<=[ \t}}]) (?P<value> [^ \t\#{{}}]++ )
         (?: [ \t]++ [-+.0-9eE]++ )?        # a timestamp: the time of the scrape counts instead
         [ \t\r]*+ (?: \#.*+ )?             # an exemplar""".encode(),
    re.VERBOSE,
)
_PAIR = re.compile(
    rf"""[ \t]*+ (?P<name> [a-zA-Z_][a-zA-Z0-9_]*+ | {_QUOTED} )
         (?: [ \t]*+ = [ \t]*+ (?P<value> {_QUOTED} ) )?
         [ \t]*+ (?: , | $ )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r'\\([\\"n])')
_SHOWN_CHARS = 120


@dataclass(slots=True)
class Exposition:
    """What one answer holds: ``values[i]`` belongs to ``series[i]``."""

    series: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    lines: int = 0
    bad_lines: int = 0
    first_bad: str = ""
    ended: bool = False  # saw `# EOF`, without which an OpenMetrics answer is cut off


class Parser:
    """Reads one target's answers; ``intern`` turns the labels of a new series into its index.

    Remembers the text of every series it met, so that a known one costs a look-up and a float.
    """

    def __init__(self, intern: Callable[[Labels], int]) -> None:
        self._intern = intern
        self._known: dict[bytes, int] = {}

    def __len__(self) -> int:
        """How many series it remembers, those of earlier answers too."""
        return len(self._known)

    def forget(self) -> None:
        """Asks ``intern`` anew for every series."""
        self._known.clear()

    def feed(self, lines: Sequence[bytes], found: Exposition) -> None:
        """Adds what the lines say. A bad line is counted, the first one named; the rest stands."""
        known, add_series, add_value = self._known.get, found.series.append, found.values.append
        for number, line in enumerate(lines, found.lines + 1):
            text, _, value = line.rpartition(b" ")
            index = known(text)
            if index is None:
                self._unfamiliar(number, line, found)
                continue
            try:
                add_value(float(value))
            except ValueError:
                self._unfamiliar(number, line, found)
            else:
                add_series(index)
        found.lines += len(lines)

    def _unfamiliar(self, number: int, line: bytes, found: Exposition) -> None:
        """A comment, a new series, a timestamp, an exemplar, odd spaces, nonsense."""
        if found.ended or line.startswith(b"#") or not line.strip():
            found.ended = found.ended or line.rstrip() == b"# EOF"
            return
        try:
            index, value = self._sample(line)
        except ValueError as error:
            found.bad_lines += 1
            if not found.first_bad:
                shown = line[:_SHOWN_CHARS].decode(errors="replace")
                found.first_bad = f"line {number}: {error}: {shown!r}"
            return
        found.series.append(index)
        found.values.append(value)

    def _sample(self, line: bytes) -> tuple[int, float]:
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError("not a sample")
        text, value = match["series"], float(match["value"])
        index = self._known.get(text)
        if index is None:
            index = self._known[text] = self._intern(labels_of(text))
        return index, value


def labels_of(text: bytes) -> Labels:
    """``name{a="b"}`` or ``{"name",a="b"}``. Raises ValueError with the reason."""
    name, _, rest = text.decode().partition("{")
    labels = {"__name__": name.strip()} if name.strip() else {}
    inside, at = rest.rstrip()[:-1].strip(), 0
    while at < len(inside):
        pair = _PAIR.match(inside, at)
        if pair is None:
            raise ValueError("wrong labels")
        at = pair.end()
        key, value = _unquoted(pair["name"]), pair["value"]
        if value is None:  # a quoted metric name stands alone
            key, value = "__name__", pair["name"]
        if key in labels:
            raise ValueError(f"label {key} twice")
        labels[key] = _unquoted(value)
    if not labels.get("__name__"):
        raise ValueError("no metric name")
    return {key: value for key, value in labels.items() if value}  # an empty label is none


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], text[1:-1])
