"""What to ask Prometheus for, so that a selection finds all that it would take from a stream.

An answer may hold more than the selection takes: it selects again.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from aiopsd.transforms import Selection
from aiopsd.transforms.selector import Matcher, Selector

Question: TypeAlias = str
"""A vector selector in PromQL."""

_SUFFIXES: Final = ("_bucket", "_sum", "_count")
_ESCAPED: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def questions(selection: Selection, *, names_only: bool = False) -> list[Question]:
    """One a side of a ratio; one where both are the same. With ``names_only`` the other series of
    these metrics are asked for too: by them a stream has ticks in which nothing was selected."""
    sides = [selection.selector, *([selection.over] if selection.over else [])]
    found = [_asked(one, _ends(selection), names_only=names_only) for one in sides]
    return list(dict.fromkeys(found))


def _ends(selection: Selection) -> tuple[str, ...]:
    """What the names of the series end in, when the selection may leave it out."""
    if selection.quantile is not None:
        return ("_bucket",)
    return ("_sum", "_count") if selection.as_ == "mean" else ()


def _asked(selector: Selector, ends: tuple[str, ...], *, names_only: bool) -> Question:
    named = [one for one in selector.matchers if one.label == "__name__" and not one.matches("")]
    matchers = list(named if named and names_only else selector.matchers)
    if named:
        matchers = [_widened(one, ends) for one in matchers]
    return "{" + ",".join(map(_written, matchers)) + "}"


def _widened(matcher: Matcher, ends: tuple[str, ...]) -> Matcher:
    """A native histogram has neither the suffix in its name nor a label ``le``."""
    if matcher.operator.startswith("!") or matcher.label not in ("le", "__name__"):
        return matcher
    text = matcher.text
    pattern = f"(?:{text})" if matcher.operator == "=~" else re.escape(text)
    if matcher.label == "le":
        return Matcher("le", "=~", f"{pattern}|")
    if matcher.operator == "=~":
        return Matcher("__name__", "=~", f"{pattern}(?:{'|'.join(ends)}|)") if ends else matcher
    names = _names(text, ends)
    return Matcher("__name__", "=~", "|".join(map(re.escape, names))) if names[1:] else matcher


def _names(name: str, ends: tuple[str, ...]) -> list[str]:
    base = next((name.removesuffix(end) for end in _SUFFIXES if name.endswith(end)), name)
    bases = dict.fromkeys((name, base))
    return list(bases | dict.fromkeys(one + end for one in bases for end in ends))


def _written(matcher: Matcher) -> str:
    return f'{matcher.label}{matcher.operator}"{matcher.text.translate(_ESCAPED)}"'
