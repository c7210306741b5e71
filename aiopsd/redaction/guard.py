"""Patterns that people write: only such whose work on a line can be bounded beforehand.

Python's ``re`` tries every way through a pattern. How many there are, and how long, is counted on
the parsed pattern; a line of ten thousand characters must be done in milliseconds, whatever it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from re import _parser  # type: ignore[attr-defined] # the only one that knows how re reads it
from typing import Any, Final, NamedTuple

MOST_STEPS: Final = 100  # from one place of a line; a literal of n characters stands at every nth
_TOO_MANY: Final = 10**9


class _Work(NamedTuple):
    """From one place: characters looked at in all ways together, and how many ways there are."""

    steps: int
    ways: int


def bounded(pattern: str) -> re.Pattern[str]:
    """Compiled. Raises ValueError, as a sentence, where it is no pattern or could take long."""
    try:
        compiled = re.compile(pattern)
        tree = _parser.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a pattern: {error}") from None
    if tree.getwidth()[0] == 0:
        raise ValueError("it matches where there is nothing")
    steps = _sequence(tree).steps
    if steps > MOST_STEPS * max(1, len(literal(pattern))):
        raise ValueError(
            f"it could take {min(steps, _TOO_MANY):,} steps from one place: begin it with what "
            "always stands there, make repetitions shorter, or write {1,9}+ for one that gives "
            "nothing back"
        )
    return compiled


def literal(pattern: str) -> str:
    """The longest text that stands in all that it matches."""
    best = run = ""
    for op, argument in _parser.parse(pattern):
        run = run + chr(argument) if str(op) == "LITERAL" and argument < 128 else ""
        best = max(best, run, key=len)
    return best


def _sequence(parts: Iterable[Any]) -> _Work:
    steps, ways = 0, 1
    for op, argument in parts:
        one = _work(str(op), argument)
        steps, ways = min(steps + ways * one.steps, _TOO_MANY), min(ways * one.ways, _TOO_MANY)
    return _Work(steps, ways)


def _work(op: str, argument: Any) -> _Work:
    match op:
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return _repeated(op, *argument)
        case "BRANCH":
            branches = [_sequence(one) for one in argument[1]]
            return _Work(sum(b.steps for b in branches), sum(b.ways for b in branches))
        case "SUBPATTERN":
            return _sequence(argument[-1])
        case "ATOMIC_GROUP":
            return _Work(_sequence(argument).steps, 1)
        case "ASSERT" | "ASSERT_NOT":
            return _Work(_sequence(argument[1]).steps, 1)
        case "GROUPREF" | "GROUPREF_EXISTS" | "GROUPREF_IGNORE":
            raise ValueError("it refers back to a group: nobody can say how long that takes")
    return _Work(1, 1)


def _repeated(op: str, least: int, most: Any, part: Any) -> _Work:
    if most is _parser.MAXREPEAT:
        raise ValueError("`*`, `+` and `{n,}` have no end: say how often at most, such as {1,64}")
    one = _sequence(part)
    if most > 1000:
        raise ValueError(f"{{{least},{most}}} is too often; at most 1000")
    if op == "POSSESSIVE_REPEAT":
        return _Work(most * one.steps * one.ways, 1)
    if one.ways == 1:
        return _Work(most * one.steps, most - least + 1)
    ways = min(sum(min(one.ways**n, _TOO_MANY) for n in range(least, min(most, 30) + 1)), _TOO_MANY)
    return _Work(min(ways * one.steps * most, _TOO_MANY), ways)
