"""The Prometheus text format 0.0.4 and OpenMetrics 1.0: lines to series and values.

Sources: https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://prometheus.io/docs/specs/om/open_metrics_spec/. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aiopsd.contracts import Keys
from aiopsd.model import MOST_LABEL_BYTES, Floats, Indexes, Labels

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
UNKNOWN = -1  # what Keys say of a text that is new


_TYPE = re.compile(rb"# ?TYPE[ \t]+(?P<name>[^ \t]+)[ \t]+(?P<type>[a-z]+)\s*")
MAX_TYPES, MAX_TYPE_BYTES = 100_000, 1_000  # and of each, with its name
_Sample = tuple[int, bytes, float]  # line, text of the series, value


class Exposition:
    """What one answer holds: ``values[i]`` belongs to ``series[i]``, in the order of lines."""

    def __init__(self) -> None:
        self.lines = 0
        self.bad_lines = 0
        self.first_bad = ""
        self.ended = False  # saw `# EOF`, without which an OpenMetrics answer is cut off
        self._series: list[Indexes] = []
        self._values: list[Floats] = []

    def complain(self, number: int, line: bytes, why: str) -> None:
        """``number``: of the line, in the portion that is being read."""
        self.bad_lines += 1
        if not self.first_bad:
            shown = line[:_SHOWN_CHARS].decode(errors="replace")
            self.first_bad = f"line {self.lines + number + 1}: {why}: {shown!r}"

    def add(self, series: Indexes, values: Floats) -> None:
        self._series.append(series)
        self._values.append(values)

    @property
    def series(self) -> Indexes:
        return np.concatenate([np.zeros(0, np.int32), *self._series])

    @property
    def values(self) -> Floats:
        return np.concatenate([np.zeros(0), *self._values])


class Parser:
    """Reads one target's answers; ``intern`` turns the labels of a new series into its index.

    ``keys`` remembers the text of every series, so that a known one costs a look-up and a float.
    What the target says of the types of its metrics goes to ``types``.
    """

    def __init__(
        self, intern: Callable[[Labels], int], keys: Keys, types: MutableMapping[str, str]
    ) -> None:
        self._intern = intern
        self._keys = keys
        self._types = types
        self._heard: set[bytes] = set()  # comments that said a type

    def feed(self, lines: Sequence[bytes], found: Exposition) -> None:
        """Adds what the lines say. A bad line is counted, the first one named; the rest stands."""
        pairs = [line.rpartition(b" ") for line in (() if found.ended else lines)]
        indexes = self._keys.find([text for text, _, _ in pairs])
        plain, values = _plain(pairs, indexes)
        odd = np.ones(len(pairs), bool)
        odd[plain] = False
        others, end = self._unfamiliar(np.flatnonzero(odd).tolist(), lines, found)
        at = np.concatenate((plain, np.array([n for n, _, _ in others], np.intp)))
        series = np.concatenate((indexes[plain], self._indexes(others, lines, found)))
        numbers = np.concatenate((values, np.array([value for _, _, value in others])))
        if others or end < len(lines):
            order = np.argsort(at, kind="stable")
            order = order[at[order] < end]
            series, numbers = series[order], numbers[order]
        found.add(series[series >= 0].astype(np.int32), numbers[series >= 0])
        found.lines += len(lines)

    def _unfamiliar(
        self, numbers: Sequence[int], lines: Sequence[bytes], found: Exposition
    ) -> tuple[list[_Sample], int]:
        """New series, timestamps, exemplars, odd spaces; comments and nonsense are dealt with.
        Also the line at which it ends."""
        samples: list[_Sample] = []
        for number in numbers:
            line = lines[number]
            if line.startswith(b"#") or not line.strip():
                self._comment(line)
                if line.rstrip() == b"# EOF":
                    found.ended = True
                    return samples, number
                continue
            match = _LINE.fullmatch(line)
            if match is not None and _is_number(match["value"]):
                samples.append((number, match["series"], float(match["value"])))
            else:
                found.complain(number, line, "not a sample")
        return samples, len(lines)

    def _indexes(
        self, samples: Sequence[_Sample], lines: Sequence[bytes], found: Exposition
    ) -> Indexes:
        """One for each; -1 where its labels are wrong, or the table is full."""
        texts = [text for _, text, _ in samples]
        indexes = self._keys.find(texts)
        new: dict[bytes, int] = {}
        for at in np.flatnonzero(indexes == UNKNOWN).tolist():
            number, text, _ = samples[at]
            try:
                if len(text) > MOST_LABEL_BYTES:
                    raise ValueError(f"labels of more than {MOST_LABEL_BYTES:,} bytes")
                if text not in new:
                    new[text] = self._intern(labels_of(text))
                indexes[at] = new[text]
            except ValueError as error:
                found.complain(number, lines[number], str(error))
        self._keys.learn(list(new), list(new.values()))
        return indexes

    def _comment(self, line: bytes) -> None:
        """The type of a metric, said once."""
        if (
            len(line) > MAX_TYPE_BYTES
            or line in self._heard
            or not line.startswith((b"# TYPE", b"#TYPE"))
        ):
            return
        match = _TYPE.fullmatch(line)
        if match is not None and len(self._types) < MAX_TYPES:
            self._types[match["name"].decode(errors="replace")] = match["type"].decode()
        if len(self._heard) > MAX_TYPES:
            self._heard.clear()
        self._heard.add(line)


def _plain(
    pairs: Sequence[tuple[bytes, bytes, bytes]], indexes: Indexes
) -> tuple[NDArray[np.intp], Floats]:
    """The lines of known series, and their values."""
    known = np.flatnonzero(indexes != UNKNOWN)
    try:
        if len(known) == len(pairs):
            return known, np.array([float(value) for _, _, value in pairs], np.float64)
        return known, np.array([float(pairs[n][2]) for n in known.tolist()], np.float64)
    except ValueError:  # a known series with a bad value, or none at all
        good = [n for n in known.tolist() if _is_number(pairs[n][2])]
        return np.array(good, np.intp), np.array([float(pairs[n][2]) for n in good], np.float64)


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


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
