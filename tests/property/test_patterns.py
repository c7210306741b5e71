"""Whatever people write, and whatever the line is: it is done in time, and nothing is missed."""

import re
import time

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aiopsd.patterns import Pattern, label_pattern, line_pattern

ATOM = st.sampled_from(
    ["a", "b", "1", ".", "é", "-", r"\d", r"\w", r"\s", r"\b", "^", "$", "[a-f]", "[^b]", r"\pL",
     "(?:ab|a)", "(?:a|aa)", "(a|b|ab)", r"(\w|\d)", "(?i)", "x-", "(?P<it>a)", "(?:)"]
)  # fmt: skip
TIMES = st.sampled_from(["", "", "?", "*", "+", "*?", "+?", "{1,3}", "{2}", "{0,30}", "{1,60}?"])
PATTERNS = st.recursive(
    st.builds(str.__add__, ATOM, TIMES),
    lambda inner: st.one_of(
        st.builds(str.__add__, inner, inner),
        st.builds("{}|{}".format, inner, inner),
        st.builds("(?:{}){}".format, inner, TIMES),
        st.builds("({}){}".format, inner, TIMES),
    ),
    max_leaves=8,
)
PUMPS = st.one_of(
    st.sampled_from(["a", "ab", "1", "aab", "x-", "abc1", "é", "a ", "\ud800", "🐈a", "-"]),
    st.text("ab1é -x", min_size=1, max_size=12),
)
ENDS = st.sampled_from(["", "!", "b", "x", "\n"])
LONG_CHARS = 65_536
MOST_SECS = 2.0  # twenty nanoseconds for each of a thousand steps at each character, and some


def made(text: str) -> Pattern:
    try:
        return line_pattern(text)
    except ValueError:
        assume(False)
        raise


@settings(max_examples=150, deadline=None)
@given(PATTERNS, PUMPS, ENDS)
def test_none_takes_long(text: str, pump: str, end: str) -> None:
    """Python's own would take for ever: ``(?:a|aa)*b`` on 64 KiB of ``a``."""
    pattern = made(text)
    line = pump * (LONG_CHARS // len(pump)) + end
    begun = time.process_time()
    pattern.found(line)
    pattern.fits(line)
    once = time.process_time() - begun
    sum(1 for _ in pattern.told(line))
    sum(1 for _ in pattern.spans(line))
    list(pattern.among([line, "", line]))
    assert once < MOST_SECS / 4
    assert time.process_time() - begun < MOST_SECS


@settings(max_examples=100, deadline=None)
@given(PATTERNS, PUMPS)
def test_a_label_never_takes_long(text: str, pump: str) -> None:
    try:
        pattern = label_pattern(text)
    except ValueError:
        return
    begun = time.process_time()
    pattern.fits(pump * (LONG_CHARS // len(pump)) + "!")
    assert time.process_time() - begun < MOST_SECS


LINES = st.lists(
    st.one_of(st.text("ab1é -x\n", max_size=8), st.text(max_size=4)), min_size=1, max_size=12
)


@settings(max_examples=400, deadline=None)
@given(PATTERNS, LINES)
def test_looking_at_many_lines_at_once_misses_none(text: str, lines: list[str]) -> None:
    pattern = made(text)
    some = list(pattern.among(lines))
    assert len(set(some)) == len(some)
    assert {at for at, line in enumerate(lines) if pattern.found(line)} <= set(some)
    assert set(some) <= set(range(len(lines)))


@settings(max_examples=400, deadline=None)
@given(PATTERNS.filter(lambda one: r"\pL" not in one), st.text("ab1 -x", max_size=12))
def test_it_finds_what_pythons_own_finds(text: str, line: str) -> None:
    """Where both know the pattern, on lines for which Python's ways are few."""
    pattern = made(text)
    try:
        pythons = re.compile(text, re.ASCII)
    except re.error:  # (?i) is at the beginning there
        return
    found = [one.span() for one in pythons.finditer(line) if one.end() > one.start()]
    if "(?P<it>" not in text:
        assert list(pattern.spans(line)) == found
    assert pattern.found(line) == (pythons.search(line) is not None)
    assert pattern.fits(line) == (pythons.fullmatch(line) is not None)


@given(st.text("ab", min_size=1, max_size=4), st.lists(st.text(max_size=5), max_size=9))
def test_spans_are_where_the_word_stands(word: str, parts: list[str]) -> None:
    text = word.join(parts)
    found = [(one.start(), one.end()) for one in re.finditer(word, text)]
    assert list(line_pattern(word).spans(text)) == found
