"""What people write of redaction, and the redactor that it makes."""

from collections import Counter
from pathlib import Path

import pytest

from aiopsd.config import inspect
from aiopsd.config.redaction import RedactionPatternSettings, RedactionSettings
from aiopsd.patterns import MOST_MATCHES
from aiopsd.redaction import Redactor


def of(count: Counter[str] | None = None, **patterns: str) -> Redactor:
    settings = RedactionSettings(
        patterns=tuple(
            RedactionPatternSettings(name=name, pattern=one) for name, one in patterns.items()
        ),
        kinds=dict.fromkeys(patterns, "mask"),
    )
    told: Counter[str] = Counter() if count is None else count
    return settings.redactor(b"k" * 32, [], lambda kind, values: told.update({kind: values}))


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


@pytest.mark.parametrize(
    ("pattern", "line", "clean"),
    [
        (r"order=(\w+)", "placed order=x17 now", "placed <it> now"),
        (r"order=(?P<id>\w+)", "placed order=x17 now", "placed order=<it> now"),
        (r"order=(?<id>\S+)", "order=x17, order=<it>", "order=<it> order=<it>"),
        (r"(?i)\bcust(?:omer)?[-_]?\d{4,12}\b", "Customer_12345", "<it>"),
        (r"^\d+", "12 of 13", "<it> of 13"),
        (r"\w+$", "of Mara", "of <it>"),
        (r"\Aof", "of of", "<it> of"),
        (r"(?-m)of\z", "of of", "of <it>"),
        (r"gr(?:ue|ü)n", "é grün é", "é <it> é"),
        (r"BEGIN(?s:.+?)END", "a BEGIN\nb\nEND c", "a <it> c"),
        (r"[^x]+y", "ay", "<it>"),
        (r"k\dk", "\ud800 k1k \udfff", "\ud800 <it> \udfff"),
    ],
)
def test_patterns_of_people(pattern: str, line: str, clean: str) -> None:
    """Alone, and among lines where others begin what they end."""
    redactor = of(it=pattern)
    assert redactor.text(line) == clean
    assert redactor.text(clean) == clean
    others = ["x", "", "BEGIN", "0", "END x", line, "order=", line, ""]
    assert redactor.lines(others) == [redactor.text(one) for one in others]


def test_of_very_many_matches_the_rest_is_one() -> None:
    count: Counter[str] = Counter()
    clean = of(count, it=r"e\d").text("e1 " * 5000 + "end")
    assert clean == "<it> " * MOST_MATCHES + "<it>"
    assert count["it"] == MOST_MATCHES + 1


def test_a_line_full_of_what_could_be_secrets_is_still_searched() -> None:
    line = "EMP-004217 " + "token= " * 1000
    assert "EMP-004217" not in of(it=r"\bE[A-Z]+-\d{6}").lines([line])[0]


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("kinds: {emial: mask}", "`kinds`: no kind 'emial'; known: card, email"),
        ("kinds: {email: drop}", "'drop' is not allowed"),
        ("patterns: [{name: Staff, pattern: x}]", "`name: Staff` must be of small letters"),
        ("patterns: [{name: a, pattern: 'x*'}]", "`pattern: x*`: it matches where there is noth"),
        ("patterns: [{name: a, pattern: '(?<=x)y'}]", "at character 1, `(?<=`: RE2 has no lookb"),
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
