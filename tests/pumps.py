"""Texts that are hard for a pattern of Python's ``re``, made of the pattern's own parts."""

import re
from collections.abc import Iterable, Iterator
from re import _parser  # type: ignore[attr-defined] # the only one that knows how re reads it
from typing import Any

EVERYWHERE = [*"a0A .-_/:=\"\\'{[(<,@\t", "a.", "a-", "0.", "a=", "a=b ", '"a":', '\\"', "A0", "a/"]
END = "\0!"
_OF_CATEGORY = {
    "CATEGORY_DIGIT": "07", "CATEGORY_WORD": "a0_", "CATEGORY_SPACE": " \t",
    "CATEGORY_NOT_SPACE": "a.", "CATEGORY_NOT_WORD": ". ", "CATEGORY_NOT_DIGIT": "a.",
}  # fmt: skip
_COMMON = "a0. -_:/xZ=,;\"'\né"
_READ_WITH = re.IGNORECASE | re.VERBOSE | re.DOTALL | re.MULTILINE
WAYS = 4  # in which a part is written


def pumped(pattern: re.Pattern[Any], chars: int, most: int = 32) -> Iterator[Any]:
    """Of so many characters: something, then the same again and again, then what fits nothing."""
    is_bytes = isinstance(pattern.pattern, bytes)
    text = pattern.pattern.decode("latin-1") if is_bytes else pattern.pattern
    tree = _parser.parse(text, pattern.flags & _READ_WITH)
    own = sorted(set(_pumps(list(tree), "")))
    step = max(1, len(own) // most)
    for before, pump in [*own[::step], *(("", one) for one in EVERYWHERE)]:
        line = before + pump * (max(1, chars - len(before)) // len(pump)) + END
        yield line.encode("latin-1", "replace") if is_bytes else line


def _pumps(parts: list[Any], before: str) -> Iterator[tuple[str, str]]:
    """What stands before a repetition, and what is repeated, alone and with what follows."""
    if not before:
        for way in range(WAYS):
            whole = _written(parts, way)
            yield from (("", whole[:n]) for n in range(1, min(len(whole), 24) + 1))
    for at, (op, argument) in enumerate(parts):
        name = str(op)
        if "REPEAT" in name:
            for way in range(WAYS):
                once = _written(argument[2], way)
                if once:
                    after = _written(parts[at + 1 : at + 2], way)
                    yield from ((before, once), ("", before + once), (before, once + after))
        for inner in _inside(name, argument):
            yield from _pumps(list(inner), before or "")
        before += _written([(op, argument)], 0)


def _inside(name: str, argument: Any) -> Iterable[Any]:
    if "REPEAT" in name:
        return [argument[2]]
    match name:
        case "BRANCH":
            return argument[1]
        case "SUBPATTERN":
            return [argument[-1]]
        case "ATOMIC_GROUP":
            return [argument]
        case "ASSERT" | "ASSERT_NOT":
            return [argument[1]]
    return []


def _written(parts: Iterable[Any], way: int) -> str:
    """One of the texts that these match."""
    text = ""
    for op, argument in parts:
        match str(op):
            case "LITERAL":
                text += chr(argument)
            case "NOT_LITERAL":
                text += "a" if argument != ord("a") else "b"
            case "ANY":
                text += "a."[way % 2]
            case "IN":
                text += _one_of(argument, way)
            case "BRANCH":
                text += _written(argument[1][way % len(argument[1])], way)
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                text += _written(argument[2], way) * min(max(argument[0], 1 - way % 2), 100)
            case "SUBPATTERN" | "ATOMIC_GROUP":
                text += _written(argument[-1] if str(op) == "SUBPATTERN" else argument, way)
    return text


def _one_of(members: list[Any], way: int) -> str:
    negated = str(members[0][0]) == "NEGATE"
    found = ""
    for op, argument in members:
        match str(op):
            case "LITERAL":
                found += chr(argument)
            case "RANGE":
                found += chr(argument[0]) + chr(argument[1])
            case "CATEGORY":
                found += _OF_CATEGORY.get(str(argument), "a")
    if negated:
        ranges = [argument for op, argument in members if str(op) == "RANGE"]
        found = "".join(
            one
            for one in _COMMON
            if one not in found and not any(low <= ord(one) <= high for low, high in ranges)
        )
    return found[way % len(found)] if found else "é"
