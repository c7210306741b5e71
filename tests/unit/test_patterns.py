"""Patterns that people write: what they find, and what is said of those that cannot be."""

import subprocess
import sys

import pytest

from aiopsd.patterns import MOST_STEPS, Pattern, label_pattern, line_pattern


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"x(?=a)b", "at character 2, `(?=`: RE2 has no lookahead; match what follows too"),
        (r"x(?!a)b", "at character 2, `(?!`: RE2 has no lookahead"),
        (r"(?<=id=)\w", "at character 1, `(?<=`: RE2 has no lookbehind; match what stands before"),
        (r"(?<!a)b", "at character 1, `(?<!`: RE2 has no lookbehind"),
        (r"(a|b)\1", r"at character 6, `\1`: RE2 has no reference back to a group"),
        (r"(?P<x>a)(?P=x)", "at character 9, `(?P=x)`: RE2 has no reference back"),
        (r"(?<x>a)\k<x>", r"at character 8, `\k`: RE2 has no reference back"),
        (r"ba++", "at character 3, `++`: RE2 has no possessive repetition; leave out its last +"),
        (r"a{1,2}+", "at character 2, `{1,2}+`: RE2 has no possessive repetition"),
        (r"(?>a)", "at character 1, `(?>`: RE2 has no atomic group; write (?:"),
        (r"(a)?(?(1)b|c)", "at character 5, `(?(`: RE2 has no condition on a group"),
        (r"a(?#c)", "at character 2, `(?#`: RE2 has no comment"),
        (r"(?x)a b", "at character 1, `(?x`: RE2 has no such flag; there are i, m, s and U"),
        (r"x\Z", r"at character 2, `\Z`: RE2 has no such escape; write \z"),
        (r"\u00e4", r"at character 1, `\u`: RE2 has no such escape; write the character itself"),
        (r"a\h", r"at character 2, `\h`: RE2 has no such escape"),
        (r"\\a\C", r"at character 4, `\C`: RE2 has no such escape; write . for any character"),
        (r"ba{,3}", "at character 3, `{,3}`: RE2 has no repetition without a least; write {0,9}"),
        (r"a**", "at character 2, `**`: it repeats a repetition; write (?:...)"),
        (r"a{1001}", "at character 2, `{1001}`: repetitions end at 1000"),
        (r"a|*", "at character 3, `*`: there is nothing before it to repeat"),
        (r"ab(cd", "at character 3: missing )"),
        (r"ab)cd", "at character 3: unexpected )"),
        (r"a[z", "at character 2, `[z`: missing ]"),
        (r"[z-a]", "at character 2, `z-a`: invalid character class range"),
        ("ab\\", "at character 3: it ends with a \\ that stands before nothing"),
        ("a\ud800", "at character 2: that is no Unicode"),
        (".{1,200}", f"it is large, 1,803 steps where {MOST_STEPS:,} are the most: write + or *"),
        *((one, "it matches where there is nothing")
          for one in ("", "a?", r"\b", "^", "a*|x", "(?m)$", r"^\B", r"\B\z", r"\b(?:x|)\b")),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_with_its_place(
    pattern: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=" ") as error:
        line_pattern(pattern)
    assert str(error.value).startswith(said)
    assert capfd.readouterr().err == ""  # RE2 tells its own log of it, otherwise


def test_begins_may_match_everywhere_and_labels_have_long_lists() -> None:
    assert line_pattern(".*", empty=True).found("")
    pods = "|".join(f"orders-{n}" for n in range(1000))
    assert label_pattern(pods).fits("orders-999")


@pytest.mark.parametrize("one", [r"(\w+)=x", "a|b", r"é+", "(?i)É"])
def test_found_and_fits(one: str) -> None:
    pattern = line_pattern(one)
    text = {r"(\w+)=x": "id=x", "a|b": "b"}.get(one, "é")
    assert pattern.found(f" {text} ")
    assert pattern.fits(text)
    assert not pattern.fits(f"{text} ")
    assert not pattern.found("\ud800 \n")


def test_a_label_is_matched_as_prometheus_does() -> None:
    assert label_pattern("a.c").fits("a\nc")
    assert not label_pattern("a.c").fits("a.c\n")
    assert not label_pattern("a|b").fits("ab")
    assert label_pattern(r"\pL+").fits("Äé")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"order=(\w+)", ["17", "18"]),
        (r"order=\w+", ["order=17", "order=18"]),
        (r"(?:order=(?P<id>\d+))|nothing", ["17", "18"]),
        (r"(x)?order=(\d)", ["1", "1"]),
        (r"ë(.)", ["é"]),
    ],
)
def test_what_is_told_and_where(pattern: str, said: list[str]) -> None:
    text = "ëé order=17 order=18"
    assert list(line_pattern(pattern).told(text)) == said


def test_spans_are_places_in_the_text() -> None:
    text = "ëé\ud800 a=ß🐈;a=é\udfff;"
    found = line_pattern("a=(?P<v>[^;]+)")
    assert [text[begin:end] for begin, end in found.spans(text)] == ["ß🐈", "é\udfff"]


def test_patterns_are_the_same_by_what_was_written() -> None:
    assert line_pattern("a") == line_pattern("a") != line_pattern("b")
    assert len({line_pattern("a"), line_pattern("a")}) == 1
    assert repr(label_pattern("a")) == "Pattern(text='a')"
    assert isinstance(label_pattern("a"), Pattern)


def test_it_is_imported_in_no_time() -> None:
    """Which the whole daemon does at its start: by what it brings along, not by a stopwatch."""
    code = "import sys, re2; print(len(set(sys.modules)))"
    bare = "import sys; print(len(set(sys.modules)))"
    many, few = (
        int(subprocess.run([sys.executable, "-c", one], capture_output=True, check=True).stdout)
        for one in (code, bare)
    )
    assert many - few < 40
