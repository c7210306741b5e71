"""One rule's ``select/as/by/over``, compiled: which raw series belong, and to which group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aiopsd.model import Labels
from aiopsd.transforms.selector import Selector, parse_selector

As = Literal["value", "rate", "delta", "changes", "mean", "p50", "p90", "p95", "p99"]
Agg = Literal["sum", "max", "min", "mean"]
Role = Literal["part", "whole"]
"""``whole`` members are the denominator: of ``over``, or the counts under a mean."""

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Selection:
    """What a rule takes from the stream."""

    select: Selector
    as_: As
    by: tuple[str, ...]
    over: Selector | None
    window_secs: float
    agg: Agg

    @property
    def windowed(self) -> bool:
        return self.as_ != "value"

    def role(self, labels: Labels) -> tuple[Role, ...]:
        """How this series takes part; it may be both part and whole, or nothing."""
        if self.as_ == "mean":
            name, base = labels.get("__name__", ""), self.select.name
            inside = self.select.matches(labels | {"__name__": base})
            roles: dict[str, tuple[Role, ...]] = {
                f"{base}_sum": ("part",),
                f"{base}_count": ("whole",),
            }
            return roles.get(name, ()) if inside else ()
        part: tuple[Role, ...] = ("part",) if self.select.matches(labels) else ()
        whole = self.over is not None and self.over.matches(labels)
        return (*part, "whole") if whole else part

    def group(self, labels: Labels) -> Labels:
        """The labels of the rule's own series that this raw series belongs to."""
        if self.by:
            return {name: labels[name] for name in self.by if labels.get(name)}
        hidden = ("__name__", "le") if self.as_ in QUANTILES else ("__name__",)
        return {name: value for name, value in labels.items() if name not in hidden}


def compile_selection(
    select: str, as_: As, by: tuple[str, ...], over: str | None, window_secs: float, agg: Agg
) -> Selection:
    """Raises ValueError with what is wrong and where."""
    found = _parsed("select", select)
    if as_ in QUANTILES and not found.name.endswith("_bucket"):
        raise ValueError(f"`as: {as_}` needs a histogram's `..._bucket` series in `select`")
    if as_ == "mean" and (not found.name or found.name.endswith(("_sum", "_count", "_bucket"))):
        raise ValueError("`as: mean` takes the histogram's or summary's own name, without _sum")
    if over is not None and (as_ in QUANTILES or as_ in ("mean", "changes")):
        raise ValueError(f"`over` makes a ratio of rates, deltas or values, not of `{as_}`")
    if window_secs <= 0:
        raise ValueError("`window` must be longer than nothing")
    whole = _parsed("over", over) if over is not None else None
    return Selection(found, as_, by, whole, window_secs, agg)


def _parsed(key: str, text: str) -> Selector:
    try:
        return parse_selector(text)
    except ValueError as error:
        raise ValueError(f"`{key}`, {error}") from None
