"""What a rule takes from raw series, compiled: which series play which part, in which group."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from aiopsd.model import Labels
from aiopsd.transforms.selector import Selector, parse_selector

As: TypeAlias = str
"""A word of ``WORDS``, or a quantile: ``p50``, ``p99``, ``p99.9``."""
Agg = Literal["sum", "max", "min", "mean"]

WORDS: Final = ("value", "rate", "delta", "changes", "mean")
_QUANTILE: Final = re.compile(r"p(\d{1,2}(?:\.\d+)?)", re.ASCII)
NUMERATOR, DENOMINATOR = 0, 1  # the sides of a ratio; what is none has a numerator only


@dataclass(frozen=True)
class Part:
    """What one raw series is to one selection."""

    side: int
    group: Labels
    bound: float = 0.0  # a bucket's upper bound


@dataclass(frozen=True)
class Selection:
    """See ``compile_selection``."""

    text: str  # canonical: state learned under another text is another thing
    as_: As
    agg: Agg
    window_secs: float
    by: tuple[str, ...]
    without: tuple[str, ...]
    selector: Selector
    over: Selector | None
    quantile: float | None

    @property
    def sides(self) -> int:
        return 2 if self.over is not None or self.as_ == "mean" else 1

    @property
    def alone(self) -> bool:
        """Every group is one raw series: nothing is put together."""
        grouped = self.by or self.without or self.selector.name is None
        return not grouped and self.sides == 1 and self.quantile is None

    def interested(self, name: str) -> bool:
        """May series of this name play a part? A histogram may be named with or without its
        suffix."""
        return bool(self.roles(name))

    def roles(self, name: str) -> tuple[tuple[int, Selector], ...]:
        """The sides on which series of this name may be, and what their labels must suit."""
        if self.quantile is not None or self.as_ == "mean":
            ends = ("_bucket",) if self.quantile is not None else ("_sum", "_count")
            side = DENOMINATOR if name.endswith("_count") else NUMERATOR
            fits = name.endswith(ends) and self._named(_base(name), name)
            return ((side, self.selector),) if fits else ()
        both = (NUMERATOR, self.selector), (DENOMINATOR, self.over)
        return tuple((side, one) for side, one in both if one is not None and one.names(name))

    def parts(
        self, labels: Mapping[str, str], roles: tuple[tuple[int, Selector], ...]
    ) -> list[Part]:
        """The parts that a series plays: none, one, or both sides of a ratio. ``roles``: those
        of its name."""
        sides = [side for side, selector in roles if selector.suits(labels)]
        bound = _bound(labels) if self.quantile is not None and sides else 0.0
        if not sides or bound is None:
            return []
        group = self._group(labels)
        return [Part(side, group, bound) for side in sides]

    def _named(self, base: str, name: str) -> bool:
        exact = self.selector.name
        if exact is not None:
            return base in (exact, _base(exact))
        return self.selector.names(base) or self.selector.names(name)

    def _group(self, labels: Mapping[str, str]) -> Labels:
        if self.by:
            return {name: labels[name] for name in self.by if labels.get(name)}
        hidden = {"__name__", *self.without} | ({"le"} if self.quantile is not None else set())
        return {name: value for name, value in labels.items() if name not in hidden}


def compile_selection(
    select: str,
    as_: As = "value",
    by: tuple[str, ...] = (),
    over: str | None = None,
    window_secs: float = 60.0,
    agg: Agg = "sum",
    without: tuple[str, ...] = (),
) -> Selection:
    """``as_`` of the series that ``select`` names, aggregated by the labels ``by``.

    - value: the newest; rate: increase per second; delta: increase; changes: how often the value
      changed; pNN: quantile of the increases of a classic histogram; mean: increase of ``_sum``
      over increase of ``_count``. All but value look back ``window_secs``.
    - ``by`` and ``without`` empty keep every series, with all its labels but the name; ``without``
      groups by all labels but these.
    - ``over`` makes a ratio of the same transform: a numerator that is missing is 0 while the
      denominator lives; a denominator that is 0 or missing gives no sample.

    Raises ValueError with a sentence.
    """
    if window_secs <= 0:
        raise ValueError("`window` must be more than 0")
    if by and without:
        raise ValueError("`by` and `without` exclude each other")
    quantile = None if as_ in WORDS else _quantile(as_)
    if over is not None and (as_ == "mean" or quantile is not None):
        raise ValueError(f"`over` makes no sense with `as: {as_}`: that is no sum")
    if agg != "sum" and (as_ == "mean" or quantile is not None):
        raise ValueError(f"`agg: {agg}` makes no sense with `as: {as_}`: buckets are summed")
    text = repr((select, as_, by, over, window_secs, agg, *(without and (without,))))
    return Selection(
        text=text,
        as_=as_,
        agg=agg,
        window_secs=window_secs,
        by=tuple(by),
        without=tuple(without),
        selector=_parsed("select", select),
        over=None if over is None else _parsed("over", over),
        quantile=quantile,
    )


def _quantile(word: str) -> float:
    """``p99.9`` is 0.999."""
    found = _QUANTILE.fullmatch(word)
    if found is None or not float(found[1]):
        close = difflib.get_close_matches(word, (*WORDS, "p50", "p95", "p99", "p99.9"), 1, 0.6)
        known = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(WORDS)}, p50, p99.9"
        raise ValueError(f"`as: {word}` is nothing that can be worked out; {known}")
    return float(found[1]) / 100


def _parsed(key: str, text: str) -> Selector:
    try:
        return parse_selector(text)
    except ValueError as error:
        raise ValueError(f"`{key}`, {error}") from None


def _base(name: str) -> str:
    for end in ("_bucket", "_sum", "_count"):
        if name.endswith(end):
            return name.removesuffix(end)
    return name


def _bound(labels: Mapping[str, str]) -> float | None:
    try:
        bound = float(labels.get("le", ""))
    except ValueError:
        return None
    return None if math.isnan(bound) else bound
