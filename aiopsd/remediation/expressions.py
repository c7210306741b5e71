"""CEL behind one thin module: conditions, values, and ``${...}`` in texts.

The engine is cel-expr-python (Google's cel-cpp). What it promises and does not:

- a failed evaluation is a *value* of type ERROR, and its text is truthy: here it is raised;
- what is not JSON inside a context is an error at run time: here it never gets in, and
  neither do NaN and Inf (``!(NaN > 1)`` is true);
- below the roots nothing is checked when compiling: ``reads`` and ``scope`` see to that.

Importing the engine costs tens of milliseconds, so it waits for the first expression.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from aiopsd.errors import AiopsdError
from aiopsd.remediation.reads import Read, reads

MAX_BYTES = 2048
ROOTS = ("incident", "root", "change", "params", "metric", "target", "steps", "run")
NUMBERS = ("value", "baseline", "now_s")
CONSTANTS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
CONDITION_TYPES = ("bool", "dyn")

_MARK = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD = re.compile(
    r"overloads? (?:found : |for ')(\w*?[^\w(]*\w*)'?(?: applied to ')?\(([^)]*)\)"
)
_TYPES = {
    "int": "a whole number", "int64": "a whole number", "double": "a decimal number",
    "string": "text", "bool": "true/false", "null": "null", "null_type": "null",
    "map": "a mapping", "list": "a list", "google.protobuf.Duration": "a duration",
    "duration": "a duration", "timestamp": "a timestamp",
}  # fmt: skip


class ExpressionError(AiopsdError):
    """What is wrong with an expression; ``column`` (from 1) when it is known."""

    def __init__(self, text: str, column: int | None = None) -> None:
        super().__init__(text)
        self.column = column


@dataclass(frozen=True)
class Compiled:
    """An expression that the engine has accepted."""

    text: str
    type: str  # bool, int, double, string, dyn ...
    reads: tuple[Read, ...]
    program: Any

    @property
    def roots(self) -> frozenset[str]:
        return frozenset(read.parts[0] for read in self.reads)


@lru_cache(4096)
def compiled(text: str) -> Compiled:
    """Raises ExpressionError with the column of the fault."""
    if len(text.encode()) > MAX_BYTES:
        raise ExpressionError(f"is longer than {MAX_BYTES} bytes")
    try:
        program = _engine().compile(text)
    except RuntimeError as error:  # the engine's only exception
        raise _refused(str(error)) from None
    kind = re.sub(r"\W.*", "", str(program.return_type()).lower())
    return Compiled(text, kind, reads(text), program)


def value(text: str, context: Mapping[str, Any]) -> Any:
    """What the expression gives: None, bool, int, float, str, list or dict, always finite.

    Raises ExpressionError, never returns an error as a value.
    """
    expression = compiled(text)
    data = {**plain(context), **CONSTANTS}
    try:
        found = expression.program.eval(data=data)
    except RuntimeError as error:
        raise ExpressionError(f"stopped: {_last_words(str(error))}") from None
    if found.type().name() == "ERROR":
        raise ExpressionError(_why(expression, data, str(found.value())))
    return _json(found.plain_value())


def true(text: str, context: Mapping[str, Any]) -> bool:
    """Whether a condition holds. What is neither true nor false raises ExpressionError."""
    found = value(text, context)
    if not isinstance(found, bool):
        raise ExpressionError(f"gives {found!r}, not true or false")
    return found


def plain(found: Any) -> Any:
    """JSON only, as CEL likes it: exact types, finite numbers (others become null)."""
    if found is None or isinstance(found, bool):
        return found
    if isinstance(found, str):  # without the halves of characters that no JSON can carry
        return str(found) if found.isascii() else found.encode("utf-8", "replace").decode()
    if isinstance(found, int):
        if -(2**63) <= found < 2**63:
            return int(found)
        return float(found) if abs(found) < 2**1000 else None  # more than CEL can hold
    if isinstance(found, float):
        return found.__float__() if math.isfinite(found) else None
    if isinstance(found, Mapping):
        return {plain(str(key)): plain(entry) for key, entry in found.items()}
    if isinstance(found, (list, tuple)):
        return [plain(entry) for entry in found]
    return plain(str(found))


# --- ${...} -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """A part of a text: words as they stand, or an expression and where it begins."""

    text: str
    expression: bool = False
    column: int = 1  # of the expression, within the text


def pieces(text: str) -> list[Piece]:
    """Splits ``a ${b} $${c}``. Raises ExpressionError when a ``${`` is never closed."""
    found: list[Piece] = []
    words, at = "", 0
    while at < len(text):
        if text.startswith("$${", at):
            words, at = words + "${", at + 3
        elif text.startswith("${", at):
            end = _closing(text, at + 2)
            found += [Piece(words)] if words else []
            found.append(Piece(text[at + 2 : end], expression=True, column=at + 3))
            words, at = "", end + 1
        else:
            words, at = words + text[at], at + 1
    return found + ([Piece(words)] if words else [])


def render(template: Any, context: Mapping[str, Any], escape: Callable[[str], str] = str) -> Any:
    """Fills ``${...}`` in, at any depth. A text that is one ``${...}`` keeps its native type.

    Inside other words null and empty text are errors: a half-empty name is nobody's name.
    """
    if isinstance(template, Mapping):
        return {key: render(entry, context, escape) for key, entry in template.items()}
    if isinstance(template, (list, tuple)):
        return [render(entry, context, escape) for entry in template]
    if not isinstance(template, str):
        return template
    parts = pieces(template)
    if len(parts) == 1 and parts[0].expression:
        return _filled(parts[0], context)
    return "".join(escape(_word(part, context)) if part.expression else part.text for part in parts)


def _word(part: Piece, context: Mapping[str, Any]) -> str:
    found = _filled(part, context)
    if found is None or found == "":
        what = "null" if found is None else "empty"
        raise ExpressionError(f"${{{part.text}}} is {what}", part.column)
    if isinstance(found, (list, dict)):
        raise ExpressionError(f"${{{part.text}}} is not a single value", part.column)
    return str(found).lower() if isinstance(found, bool) else str(found)


def _filled(part: Piece, context: Mapping[str, Any]) -> Any:
    try:
        return value(part.text, context)
    except ExpressionError as error:
        column = part.column + (error.column or 1) - 1
        raise ExpressionError(f"${{{part.text}}}: {error}", column) from None


def _closing(text: str, start: int) -> int:
    """Index of the brace that closes; braces within strings and mappings do not count."""
    depth, quote, at = 1, "", start
    while at < len(text):
        char = text[at]
        if quote:
            at += char == "\\"
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "{}":
            depth += 1 if char == "{" else -1
            if depth == 0:
                return at
        at += 1
    raise ExpressionError("`${` is never closed; write `$${` for the characters themselves",
                          start - 1)  # fmt: skip


# --- the engine -------------------------------------------------------------------------


@cache
def _engine() -> Any:
    from cel_expr_python import cel

    kinds = cel.Type
    return cel.NewEnv(
        variables={
            **dict.fromkeys(ROOTS, kinds.DYN),
            **dict.fromkeys(NUMBERS, kinds.DOUBLE),
            **dict.fromkeys(CONSTANTS, kinds.INT),
        }
    )


def _json(found: Any) -> Any:
    """What leaves CEL is what came in: JSON, finite."""
    if isinstance(found, float) and not math.isfinite(found):
        raise ExpressionError("gives no finite number (a division by zero?)")
    if found is None or isinstance(found, (bool, int, float, str)):
        return found
    if isinstance(found, list):
        return [_json(entry) for entry in found]
    if isinstance(found, dict):
        return {str(key): _json(entry) for key, entry in found.items()}
    raise ExpressionError(f"gives a {type(found).__name__}; use texts and numbers (of seconds)")


def _refused(message: str) -> ExpressionError:
    """The engine's first complaint, in a person's words."""
    mark = _MARK.search(message)
    if mark is None:
        return ExpressionError(_last_words(message))
    line, column, text = int(mark[1]), int(mark[2]), mark[3].removesuffix(" [INVALID_ARGUMENT]")
    undeclared = _UNDECLARED.search(text)
    if undeclared:
        name = undeclared[1]
        column -= max(name.rfind("."), 0)  # the engine points at the dot
        text = f"nothing is called `{name.split('.')[0]}`"
    elif "Syntax error" in text:
        text = "ends too early" if "<EOF>" in text else f"not understood: {text[14:70]}"
    else:
        text = _overload(text) or text
    where = f" (line {line} of the expression)" if line > 1 else ""
    return ExpressionError(text + where, column if line == 1 else None)


def _overload(text: str) -> str:
    """``_<_(double, int)``: `<` does not work on ..."""
    mark = _OVERLOAD.search(text)
    if mark is None:
        return ""
    sign = mark[1].strip("_")
    kinds = [kind.strip() for kind in mark[2].split(",")]
    said = " and ".join(_TYPES.get(re.sub(r"<.*", "", kind), kind) for kind in kinds)
    hint = ""
    if {kind.removesuffix("64") for kind in kinds} == {"double", "int"}:
        hint = "; write 1.0 instead of 1 there, or double(...)"
    return f"`{sign}` does not work on {said}{hint}"


def _why(expression: Compiled, data: Mapping[str, Any], message: str) -> str:
    """Why an evaluation failed; most often something is null or missing."""
    if "No matching overload" not in message or "null" in message:
        for read in expression.reads:
            trouble = _hole(read, data)
            if trouble:
                return trouble
    return _overload(message) or _last_words(message)


def _hole(read: Read, data: Mapping[str, Any]) -> str:
    found: Any = data
    for depth, part in enumerate(read.parts):
        here = ".".join(read.parts[: depth + 1])
        if found is None:
            return f"`{'.'.join(read.parts[:depth])}` is null"
        if not isinstance(found, Mapping):
            return ""
        if part not in found:
            return f"there is no `{here}`"
        found = found[part]
    return f"`{read}` is null" if found is None else ""


def _last_words(message: str) -> str:
    return re.sub(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$", "", message.strip().split("\n")[0])
