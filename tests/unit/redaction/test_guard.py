"""Patterns of people: those that could take long are refused, in a sentence that helps."""

import re
from pathlib import Path

import pytest

from aiopsd.config import inspect
from aiopsd.config.redaction import RedactionPatternSettings, RedactionSettings
from aiopsd.redaction.guard import bounded, literal


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (r"EMP-\d{6}", "EMP-004217"),
        (r"(?i)\bcust(?:omer)?[-_]?\d{4,12}\b", "Customer_12345"),
        (r"\b[A-Z]{2}\d{6,8}\b", "AB1234567"),
        (r"(?<=id=)[0-9a-f]{8}", "deadbeef"),
        (r"\b[A-Z][a-z]{1,20}+ [A-Z][a-z]{1,20}+\b", "Mara Klein"),
        (r"gr(?:ue|ü)n", "grün"),
    ],
)
def test_bounded_patterns(pattern: str, found: str) -> None:
    compiled = bounded(pattern)
    assert compiled.search(f"x {found} y") or compiled.search(f"id={found}")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(a+)+b", "have no end"),
        (r"\d*", "where there is nothing"),
        (r"x{3,}", "have no end"),
        (r"(a|b)\1", "refers back to a group"),
        (r"(?:a{1,9}){1,9}b", "could take"),
        (r"[a-z]{1,64}@[a-z]{1,64}", "could take"),
        (r"a{1,5000}", "is too often"),
        (r"(", "not a pattern"),
        (r"", "where there is nothing"),
        (r"a?", "where there is nothing"),
    ],
)
def test_what_could_take_long_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        bounded(pattern)


def test_the_text_that_always_stands_there() -> None:
    assert literal(r"EMP-\d{6}") == "EMP-"
    assert literal(r"\d{3}") == ""
    assert literal(r"a\dcust-[0-9]b") == "cust-"


def test_settings_make_a_redactor() -> None:
    settings = RedactionSettings(
        kinds={"staff": "mask", "ip": "mask"},
        patterns=(
            RedactionPatternSettings(name="staff", pattern=r"EMP-\d{6}"),
            RedactionPatternSettings(name="plate", pattern=r"\b[A-Z]{2}\d{6,8}\b"),
        ),
        keep=("*@ours.example", "127.*", "AB1234567"),
    )
    made = settings.redactor(b"k" * 32, [], lambda _kind, _values: None)
    clean = made.lines(
        ["EMP-004217 emp-1", "AB1234567 XY1234567", "a@ours.example 10.0.0.1 127.0.0.1"]
    )
    assert clean[0] == "<staff> emp-1"
    assert clean[1].startswith("AB1234567 <plate:")
    assert clean[2] == "a@ours.example <ip> 127.0.0.1"
    usual = RedactionSettings().redactor(b"k" * 32, [], lambda _kind, _values: None)
    assert usual.text("10.0.0.1 and ::1") == "10.0.0.1 and ::1"


WRONG = r"""
sources: {}
redaction:
  kinds: {emial: mask}
"""


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("kinds: {emial: mask}", "`kinds`: no kind 'emial'; known: card, email"),
        ("kinds: {email: drop}", "'drop' is not allowed"),
        ("patterns: [{name: Staff, pattern: x}]", "`name: Staff` must be of small letters"),
        ("patterns: [{name: a, pattern: 'x+'}]", "`pattern: x+`: `*`, `+` and `{n,}` have no end"),
        ("keep: ['a*b']", "`keep: a*b`: one * at its beginning or its end"),
        ("rotate: 5m", "`rotate: 5m` is too short to correlate"),
    ],
)
def test_what_is_written_wrongly_is_named_with_its_place(
    tmp_path: Path, written: str, complaint: str
) -> None:
    path = tmp_path / "aiopsd.yaml"
    path.write_text(f"sources: {{}}\nredaction: {{{written}}}\n")
    _, problems = inspect(path)
    assert [complaint in str(one) for one in problems] == [True], problems
    assert problems[0].line == 2
