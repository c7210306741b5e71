"""Questions to the Prometheus query API, and its answers as names and numbers.

A name is the JSON of a series' labels as it stands in the answer: whoever has met it before need
not decode it again.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/. Thanos, Mimir and
VictoriaMetrics answer alike.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import numpy as np
from yarl import URL

from aiopsd.errors import Refused, Unreachable
from aiopsd.model import Floats, Indexes, Labels
from aiopsd.sources.fetch import Answer, Fetcher

T = TypeVar("T")

_LONG_QUERY_CHARS = 1500  # what any proxy takes in a URL
_RANGE_BYTES = 8_000_000  # a point becomes some ten times its text while it is decoded
_BESIDE_LOOP_BYTES = 250_000  # more is decoded in a thread
_REFUSALS = (400, 413, 414, 422)
# VictoriaMetrics would else give the value of half a minute ago as that of now, and move the steps
# of a range to where its cache has them. The others ignore it.
_AS_ASKED = {"nocache": "1", "latency_offset": "1ms"}
_SERVER_TROUBLE = ("timeout", "canceled", "internal", "unavailable")  # errorType, whatever status
_HINTS = {
    200: " (does a login or a proxy stand in the way?)",
    401: " (see `token_file`, `username`)",
    403: " (see `token_file`, `username`)",
    404: " (is the path of `url` right?)",
}
_MEANT = {
    "matrix": ": wrap the range selector in a function such as rate()",
    "string": ": write an expression that gives numbers",
}


@dataclass(frozen=True, slots=True)
class Vector:
    """One value a series: ``values[i]`` belongs to ``names[i]``."""

    names: list[bytes]
    values: Floats
    warnings: tuple[str, ...] = ()
    histograms: int = 0  # native histograms, which are no numbers: left out

    @property
    def labels(self) -> list[Labels]:
        return labels_of(self.names)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Points of all series in one row, by series: ``[n]`` each; ``series`` indexes ``names``."""

    names: list[bytes]
    series: Indexes
    times_s: Floats
    values: Floats
    warnings: tuple[str, ...] = ()
    natives: tuple[tuple[int, msgspec.Raw], ...] = ()  # (series, JSON) of each native histogram

    @property
    def histograms(self) -> int:
        return len(self.natives)

    @property
    def labels(self) -> list[Labels]:
        return labels_of(self.names)


class PrometheusApi:
    """Raises Unreachable (the server's trouble), TooLarge, or Refused (the query's fault)."""

    def __init__(self, fetcher: Fetcher, url: URL) -> None:
        self._fetcher = fetcher
        self._url = url
        self._posts = True

    async def instant(self, promql: str, time_s: float) -> Vector:
        body = await self._ask("query", {"query": promql, "time": _seconds(time_s)}, None)
        return await _beside(_vector, body)

    async def range(self, promql: str, start_s: float, end_s: float, step_secs: float) -> Matrix:
        """Both ends included. Holds an answer to a lower ceiling than an instant one."""
        params = {
            "query": promql,
            "start": _seconds(start_s),
            "end": _seconds(end_s + step_secs / 2),  # so that no rounding loses the last step
            "step": _seconds(step_secs),
        }
        return await _beside(_matrix, await self._ask("query_range", params, _RANGE_BYTES))

    async def samples(self, selector: str, end_s: float, span_secs: int) -> Matrix:
        """What was scraped in the ``span_secs`` up to ``end_s``, at its own times. One of the very
        first moment is there before Prometheus 3.0, and not since."""
        params = {"query": f"{selector}[{span_secs}s]", "time": _seconds(end_s)}
        return await _beside(_matrix, await self._ask("query", params, _RANGE_BYTES))

    async def _ask(self, name: str, params: Mapping[str, str], ceiling: int | None) -> bytes:
        params = {**params, **_AS_ASKED}
        url = self._url.with_path(self._url.path.rstrip("/") + f"/api/v1/{name}", keep_query=True)
        if self._posts and len(params["query"]) > _LONG_QUERY_CHARS:
            answer = await self._fetcher.post(url, params, max_body_bytes=ceiling)
            if answer.status != 405:
                return _accepted(answer)
            self._posts = False
        answer = await self._fetcher.get(url.extend_query(params), max_body_bytes=ceiling)
        return _accepted(answer)


def _seconds(value: float) -> str:
    return f"{value:.3f}"


# --- answers -----------------------------------------------------------------------------


class _Data(msgspec.Struct):
    resultType: str = ""  # noqa: N815 - the API's spelling
    result: msgspec.Raw = msgspec.Raw(b"[]")


class _Envelope(msgspec.Struct):
    status: str
    data: _Data = msgspec.field(default_factory=_Data)
    errorType: str = ""  # noqa: N815
    error: str = ""
    warnings: tuple[str, ...] = ()
    isPartial: bool = False  # noqa: N815 - a VictoriaMetrics cluster without some of its nodes

    @property
    def cautions(self) -> tuple[str, ...]:
        return (*self.warnings, "the answer is partial") if self.isPartial else self.warnings


class _Sample(msgspec.Struct, gc=False):
    metric: msgspec.Raw
    value: tuple[float, str] | None = None  # a native histogram has `histogram` instead


class _Row(msgspec.Struct):
    metric: msgspec.Raw
    values: list[tuple[float, str]] = []
    histograms: list[msgspec.Raw] = []


def _accepted(answer: Answer) -> bytes:
    """The body of a good answer. Raises Refused or Unreachable: whose fault it is otherwise."""
    if answer.status == 200 and not answer.is_web_page:
        return answer.body
    words, blamed = answer.said, ""
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        envelope = msgspec.json.decode(answer.body, type=_Envelope)
        words, blamed = envelope.error or words, envelope.errorType
    if answer.status in _REFUSALS and blamed not in _SERVER_TROUBLE:
        raise Refused(words)
    raise Unreachable(f"status {answer.status}: {words}{_HINTS.get(answer.status, '')}")


async def _beside(decode: Callable[[bytes], T], body: bytes) -> T:
    if len(body) < _BESIDE_LOOP_BYTES:
        return decode(body)
    return await asyncio.to_thread(decode, body)


def labels_of(names: Sequence[bytes]) -> list[Labels]:
    """Without ``__name__``: a rule names its series itself; what is measured is its affair.

    Raises Unreachable where a name holds no labels.
    """
    found = whole_labels_of(names)
    for labels in found:
        labels.pop("__name__", None)
    return found


def whole_labels_of(names: Sequence[bytes]) -> list[Labels]:
    """With ``__name__``, as raw samples need it. Raises as ``labels_of`` does."""
    return _decoded(b"[" + b",".join(names) + b"]", list[Labels])


def _vector(body: bytes) -> Vector:
    envelope = _opened(body)
    kind, result = envelope.data.resultType, envelope.data.result
    if kind == "scalar":
        _, text = _decoded(result, tuple[float, str])
        return Vector([b"{}"], _numbers([text]), envelope.cautions)
    if kind != "vector":
        raise Refused(f"answers a {kind or 'nothing'}, not a vector{_MEANT.get(kind, '')}")
    samples = _decoded(result, list[_Sample])
    plain = [(sample.metric, sample.value[1]) for sample in samples if sample.value]
    return Vector(
        [bytes(metric) for metric, _ in plain],
        _numbers([text for _, text in plain]),
        envelope.cautions,
        len(samples) - len(plain),
    )


def _matrix(body: bytes) -> Matrix:
    envelope = _opened(body)
    if envelope.data.resultType != "matrix":
        raise Refused(f"answers a {envelope.data.resultType}, not a matrix")
    rows = _decoded(envelope.data.result, list[_Row])
    points = [point for row in rows for point in row.values]
    return Matrix(
        [bytes(row.metric) for row in rows],
        np.repeat(np.arange(len(rows), dtype=np.int32), [len(row.values) for row in rows]),
        np.array([time_s for time_s, _ in points], np.float64),
        _numbers([text for _, text in points]),
        envelope.cautions,
        tuple((at, one) for at, row in enumerate(rows) for one in row.histograms),
    )


def _opened(body: bytes) -> _Envelope:
    envelope = _decoded(body, _Envelope)
    if envelope.status != "success":  # some gateways put a refusal into a 200
        raise Refused(envelope.error or f"status {envelope.status!r}")
    return envelope


def _decoded(body: bytes | msgspec.Raw, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Unreachable(f"its answer is not what the query API promises: {error}") from None


def _numbers(texts: list[str]) -> Floats:
    try:
        return np.array(list(map(float, texts)), np.float64)
    except ValueError as error:
        raise Unreachable(f"a value of its answer is no number: {error}") from None
