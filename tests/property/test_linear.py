"""Our own patterns are linear: each is tried on texts that are made of its own parts.

Python's ``re`` goes back and tries again. A pattern is held to how it is used: where its module
asks only ``match`` of it, at one place; else everywhere.
"""

import importlib
import math
import pkgutil
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import aiopsd
from aiopsd.failure_words import fails
from aiopsd.line_events import begins
from aiopsd.logs import session_keys
from aiopsd.logs.reader import Reader
from aiopsd.logs.templates import Templates
from aiopsd.redaction import Redactor
from aiopsd.sources.line_times import times_ns
from tests.pumps import pumped

ROOMS = ("failure_words", "line_events", "logs", "redaction", "sources", "transforms")
SHORT_CHARS, LONG_CHARS = 16_384, 65_536
GROWTH = 4 * 1.6  # of the time, where the text is four times as long
LITTLE_SECS = 0.016  # of which nobody says that they grew
LINE_SECS = 0.020  # four times what a line may take: this machine does other things as well
HANGS_SECS = 2.0

FEW_CHARS: Mapping[str, int] = {
    "logs.words._MASK": 200,  # a word; and what it was written as:
    "logs.words._CHUNK": 600,
    "logs.words._NEIGHBOURS": 600,
    "logs.words._NUMBERED": 600,
}
"""Those that are not linear, and the longest text that they see."""


class Used(NamedTuple):
    name: str
    pattern: re.Pattern[Any]
    everywhere: bool


@cache
def used() -> list[Used]:
    found: dict[tuple[Any, int], Used] = {}
    for room in ROOMS:
        root = importlib.import_module(f"aiopsd.{room}")
        below = pkgutil.walk_packages(getattr(root, "__path__", []), f"{root.__name__}.")
        for name in [root.__name__, *(one.name for one in below)]:
            for one in _of_module(name):
                found.setdefault((one.pattern.pattern, one.pattern.flags), one)
    for name, text in session_keys.KNOWN.items():
        found[text, 0] = Used(f"logs.session_keys: {name}", re.compile(text), True)
    return list(found.values())


def _of_module(name: str) -> Iterator[Used]:
    module = importlib.import_module(name)
    own = Path(module.__file__ or "").read_text()
    short = name.removeprefix("aiopsd.")
    for variable, value in vars(module).items():
        if isinstance(value, re.Pattern):
            source = own if variable.startswith("_") else _all()
            yield Used(f"{short}.{variable}", value, _is_searched(variable, source))
        elif not variable.startswith("__"):
            for pattern, everywhere in _inside(value):
                yield Used(f"{short}.{variable}", pattern, everywhere)


@cache
def _all() -> str:
    folder = Path(aiopsd.__file__ or "").parent
    return "\n".join(one.read_text() for one in folder.rglob("*.py"))


def _is_searched(variable: str, source: str) -> bool:
    searched = (
        rf"\b{variable}\.(?:search|subn?|findall|finditer|split)\b|searching\([^)]*{variable}\b"
    )
    matched = rf"\b{variable}\.(?:full)?match\b|match(?:ing)?\([^)]*{variable}\b"
    return bool(re.search(searched, source)) or not re.search(matched, source)


def _inside(value: Any) -> Iterator[tuple[re.Pattern[Any], bool]]:
    """Patterns of a table, a detector, or what a function keeps; and whether they are searched."""
    if isinstance(value, re.Pattern):
        yield value, True
    elif isinstance(getattr(value, "__self__", None), re.Pattern):
        yield value.__self__, value.__name__ not in ("match", "fullmatch")
    else:
        at_one_place = getattr(value, "__qualname__", "").startswith("matching")
        for one in _parts(value):
            for pattern, everywhere in _inside(one):
                yield pattern, everywhere and not at_one_place


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, tuple | list):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name) for field in fields(value)]
    if (getattr(value, "__module__", None) or "").startswith("aiopsd"):
        return [one.cell_contents for one in getattr(value, "__closure__", None) or ()]
    return ()


class Hangs(Exception):
    pass


@contextmanager
def stopped(secs: float) -> Iterator[None]:
    """Python's ``re`` looks at signals while it tries."""

    def stop(*_: object) -> None:
        raise Hangs

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, secs)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def secs(work: Callable[[Any], object], text: Any, times: int = 1) -> float:
    took = []
    for _ in range(times):
        begun = time.thread_time()  # a process' goes by ticks while it has a timer
        try:
            with stopped(HANGS_SECS):
                work(text)
        except Hangs:
            return math.inf
        took.append(time.thread_time() - begun)
    return min(took)


def asked(one: Used) -> Callable[[Any], object]:
    """Of all places; of a pattern for one place, there."""
    if one.everywhere:
        return lambda text: sum(1 for _ in one.pattern.finditer(text))
    return lambda text: (one.pattern.match(text), one.pattern.fullmatch(text))


def grows(one: Used) -> str:
    work = asked(one)
    shorter = pumped(one.pattern, SHORT_CHARS)
    for text, longer in zip(shorter, pumped(one.pattern, LONG_CHARS), strict=True):
        if secs(work, text) * 4 < LITTLE_SECS:
            continue
        if (long_secs := secs(work, longer)) < LITTLE_SECS:
            continue
        short_secs = secs(work, text, 3)
        if long_secs > short_secs * GROWTH:
            long_secs = secs(work, longer, 3)
        if long_secs > short_secs * GROWTH or math.isinf(short_secs):
            return f"{one.name}: {short_secs:.4f}s to {long_secs:.4f}s on {text[:60]!r}"
    return ""


@pytest.mark.parametrize("room", ROOMS)
def test_our_patterns_are_linear(room: str) -> None:
    here = [one for one in used() if one.name.startswith(room)]
    assert here
    assert [said for one in here if one.name not in FEW_CHARS and (said := grows(one))] == []


def test_those_that_are_not_see_short_texts() -> None:
    for name, chars in FEW_CHARS.items():
        [one] = [one for one in used() if one.name == name]
        work = asked(one)
        took = {text: secs(work, text, 2) for text in pumped(one.pattern, chars)}
        worst = max(took, key=lambda text: took[text])
        assert took[worst] < LINE_SECS / 4, (name, took[worst], worst[:60])


READ = {
    "mined": lambda text: Reader(Templates(1000)).read([text.encode(errors="replace")]),
    "redacted": lambda text: REDACTOR.lines([text]),
    "cut": lambda text: begins(["error", text, text]),
    "timed": lambda text: times_ns([text], 0, 10**18),
    "fails": lambda text: fails(text[:8192], ""),
}
REDACTOR = Redactor()


@cache
def hard_lines() -> Mapping[str, str]:
    """Each once, and a pattern that it is for."""
    return {
        text: one.name
        for one in used()
        if isinstance(one.pattern.pattern, str) and not one.name.startswith("transforms")
        for text in pumped(one.pattern, LONG_CHARS, 12)
    }


@pytest.mark.parametrize("way", READ)
def test_no_line_takes_long(way: str) -> None:
    """Whole lines of 64 KiB, pumped from every pattern that any line meets."""
    work, slow = READ[way], []
    for text, name in hard_lines().items():
        if secs(work, text) > LINE_SECS and (took := secs(work, text, 3)) > LINE_SECS:
            slow.append(f"{took:.3f}s {name} {text[:60]!r}")
    assert slow == []
