"""Which paths an expression may read at its place, and what they can be. Pure.

Answers three questions about an expression before anything runs: does every path exist, can
it ever be what it is compared with, and does it work on values of the published types.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

import msgspec

from aiopsd.remediation import expressions
from aiopsd.remediation.context import ChangeView, IncidentView, RootView, RunView, StepView
from aiopsd.remediation.expressions import NUMBERS, ROOTS, Compiled, ExpressionError
from aiopsd.remediation.reads import Read, comparisons, reads

LATER = ("forecast", "fleet", "budget", "response")
"""Roots of the format that this version does not fill in."""

_WORDS = {str: "text", float: "a number", int: "a number", bool: "true or false"}
_SAMPLES: dict[Any, Any] = {str: "a", float: 1.5, int: 1, bool: True}


@dataclass(frozen=True)
class Scope:
    """One place in a playbook: the roots it sees and the names below them."""

    place: str  # as people call it: `when`, `guard.require` ...
    roots: frozenset[str]
    params: Mapping[str, Any] = field(default_factory=dict)  # name -> Python type
    metrics: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    secrets: frozenset[str] = frozenset()  # params that this place must not read
    target_state: bool = False  # what the executor saw is known here, not only kind and id

    def names(self, root: str) -> Mapping[str, Any] | None:
        """Types below a root; None where anything may stand."""
        match root:
            case "params":
                return self.params
            case "metric":
                return dict.fromkeys(self.metrics, float)
            case "steps":
                return dict.fromkeys(self.steps, StepView)
            case "target":
                return None if self.target_state else {"kind": str, "id": str}
        view = {"incident": IncidentView, "root": RootView, "change": ChangeView, "run": RunView}
        return _fields(view[root])


def complaints(text: str, scope: Scope, *, condition: bool) -> Iterator[tuple[str, int]]:
    """What is wrong with an expression, each with its column (from 1)."""
    try:
        expression = expressions.compiled(text)
    except ExpressionError as error:
        yield _unknown_root(text, scope) or (str(error), error.column or 1)
        return
    if condition and expression.type not in expressions.CONDITION_TYPES:
        yield f"gives {expression.type}, not true or false", 1
        return
    found = list(_path_faults(expression, scope))
    yield from found or _value_faults(expression, scope, condition)


def _unknown_root(text: str, scope: Scope) -> tuple[str, int] | None:
    for read in reads(text):
        root = read.parts[0]
        if root in LATER:
            return f"`{root}` is not available in this version", read.column
        if root not in (*ROOTS, *NUMBERS):
            return f"nothing is called `{root}`{_meant(root, scope.roots)}", read.column
    return None


def _path_faults(expression: Compiled, scope: Scope) -> Iterator[tuple[str, int]]:
    for read in expression.reads:
        trouble = _path_fault(read, scope)
        if trouble:
            yield trouble, read.column


def _path_fault(read: Read, scope: Scope) -> str:
    root, *below = read.parts
    if root not in scope.roots:
        return f"`{root}` is not known in {scope.place}; there: {_either(scope.roots)}"
    if root in NUMBERS:
        return f"`{root}` is a number: nothing stands below it" if below else ""
    if root == "params" and scope.secrets.intersection(below[:1]):
        return f"`{read}` is a secret: only a step's `with` may name it, and no argv"
    names, here = scope.names(root), root
    for part in below:
        if names is None:
            return ""
        if part not in names:
            meant = _meant(part, names) or _elsewhere(part, scope) or _known(root, names)
            return f"`{here}` has no `{part}`{meant}"
        here, kind = f"{here}.{part}", names[part]
        if kind in _WORDS or get_origin(kind) is Literal:
            word = _WORDS.get(kind, "text")
            rest = below[below.index(part) + 1 :]
            return f"`{here}` is {word}: nothing stands below it" if rest else ""
        names = _fields(kind)
    return ""


def _value_faults(expression: Compiled, scope: Scope, condition: bool) -> Iterator[tuple[str, int]]:
    for one in comparisons(expression.text):
        choices = get_args(_type(one.read, scope))
        for literal in one.literals:
            if choices and literal not in choices:
                yield (
                    f"`{one.read}` is never {literal!r}"
                    + (_meant(str(literal), choices) or f"; it is one of {_either(choices)}"),
                    one.read.column,
                )
                return
    if condition and not expression.reads:
        try:
            if not expressions.true(expression.text, {}):
                yield "is never true: it reads nothing and is always false", 1
        except ExpressionError as error:
            yield f"always fails: {error}", 1
        return
    yield from _sample_faults(expression, scope)


def _sample_faults(expression: Compiled, scope: Scope) -> Iterator[tuple[str, int]]:
    """Works on values of the right types? Only where all types are known is that provable."""
    if any(_type(read, scope) is None for read in expression.reads):
        return
    try:
        expressions.value(expression.text, _sample(scope))
    except ExpressionError as error:
        if "does not work on" in str(error) or "gives a" in str(error):
            yield str(error), 1


def _type(read: Read, scope: Scope) -> Any:
    """Python type of a path, or None where it is not known."""
    root, *below = read.parts
    if root in NUMBERS:
        return float
    names: Mapping[str, Any] | None = scope.names(root) if root in ROOTS else None
    kind: Any = None
    for part in below:
        if names is None or part not in names:
            return None
        kind = names[part]
        names = None if kind in _WORDS or get_origin(kind) else _fields(kind)
    return kind if kind in _WORDS or get_origin(kind) in (Literal, list) else None


def _sample(scope: Scope) -> dict[str, Any]:
    made: dict[str, Any] = dict.fromkeys(NUMBERS, 1.5)
    for root in scope.roots - set(NUMBERS):
        made[root] = _sample_of(scope.names(root) or {})
    return made


def _sample_of(names: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, kind in names.items():
        below = None if kind in _WORDS or get_origin(kind) else _fields(kind)
        if below is not None:
            made[name] = _sample_of(below)
        elif get_origin(kind) is Literal:
            made[name] = get_args(kind)[0]
        elif get_origin(kind) is list:
            made[name] = ["a"]
        else:
            made[name] = _SAMPLES.get(kind, {})
    return made


def _fields(kind: Any) -> Mapping[str, Any] | None:
    """Types by name below a struct; None for what is open, such as labels."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        return {f.encode_name: hints[f.name] for f in msgspec.structs.fields(kind)}
    return None


def _known(root: str, names: Iterable[str]) -> str:
    if root == "target":
        return " here; what the executor saw is known in guard.require and probe only"
    known = _either(names)
    if root == "steps":
        return f"; steps before this one: {known}" if known else "; no step stands before this one"
    return f"; known: {known}" if known else f"; this playbook defines no {root}"


def _elsewhere(word: str, scope: Scope) -> str:
    """The same slip, below another root."""
    for root in sorted(scope.roots - set(NUMBERS)):
        close = difflib.get_close_matches(word, list(scope.names(root) or ()), 1, 0.6)
        if close:
            return f"; did you mean `{root}.{close[0]}`?"
    return ""


def _meant(word: str, options: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(options), 1, 0.6)
    return f"; did you mean `{close[0]}`?" if close else ""


def _either(options: Iterable[Any]) -> str:
    return ", ".join(sorted(map(str, options)))
