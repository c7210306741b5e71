"""Every wrong entry is named at once, with its place and what was meant."""

from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.config.redaction import RedactionSettings
from aiopsd.document import parse, read
from aiopsd.errors import ConfigError
from aiopsd.executors.http import HttpSettings
from aiopsd.settings import Duration, Reader, SecretFile, Settings
from aiopsd.sources.file import FileSettings
from aiopsd.sources.journal import JournalSettings
from aiopsd.sources.loki_push import LokiPushSettings


class Circle(Settings, frozen=True, kw_only=True, tag="circle"):
    radius: float


class Square(Settings, frozen=True, kw_only=True, tag="square"):
    side: float
    corners: Literal["round", "sharp"] = "sharp"

    def __post_init__(self) -> None:
        if self.side < 0:
            raise ValueError("a side is never negative")


class Drawing(Settings, frozen=True, kw_only=True):
    every: Duration
    shapes: tuple[Circle | Square, ...] = ()
    named: dict[str, Circle | Square] = {}
    title: str | None = None


def problems(text: str) -> list[str]:
    document = parse(text, "f.yaml")
    if not document.problems:
        Reader(document).read(Drawing, document.data)
    return [str(p) for p in sorted(document.problems)]


def test_a_good_document_becomes_frozen_structs() -> None:
    document = parse("every: 1h30m\nshapes: [{type: circle, radius: 2}]\ntitle: null", "f.yaml")
    drawing = Reader(document).read(Drawing, document.data)
    assert document.problems == []
    assert drawing == Drawing(every=Duration(5400), shapes=(Circle(radius=2.0),))


@pytest.mark.parametrize(
    ("kind", "text", "named"),
    [
        (LokiPushSettings, "type: loki_push\ntenants: [a b, ok, 'c/d']", ["'a b'", "'c/d'"]),
        (HttpSettings, "type: http\nallow: [ftp://a/, https://ok/, b]", ["ftp://a/", "b"]),
        (JournalSettings, "type: journal\nunits: ['a b']\nmatches: [x]", ["'a b'", "'x'"]),
        (RedactionSettings, "kinds: {a: off, b: off}\nkeep: ['**']", ["'a'", "'b'", "**"]),
        (FileSettings, "type: file\npaths: [a]\nlabels: {a: '{x}', b: '{y}'}", ["{x}", "{y}"]),
    ],
)
def test_every_wrong_entry_of_a_list_is_named(kind: Any, text: str, named: list[str]) -> None:
    document = parse(text, "f.yaml")
    assert Reader(document).read(kind, document.data) is None
    said = [str(p) for p in sorted(document.problems)]
    assert len(said) == len(named)
    assert all(any(word in one for one in said) for word in named)


def test_all_faults_are_named_at_once() -> None:
    text = """\
evry: 5s
shapes:
  - {type: circle, radius: wide}
  - {type: square, side: 1, corners: rond}
  - {type: triangle}
  - {side: 1}
named:
  big: {type: square, side: -1}
"""
    assert problems(text) == [
        "f.yaml:1:1: `every` is missing",
        "f.yaml:1:1: unknown key 'evry'; did you mean 'every'?",
        "f.yaml:3:28: expected a number, got 'wide'",
        "f.yaml:4:38: 'rond' is not allowed; did you mean 'round'?",
        "f.yaml:5:12: unknown type 'triangle'; known: circle, square",
        "f.yaml:6:5: `type` is missing; known: circle, square",
        "f.yaml:8:3: a side is never negative",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "f.yaml:2:1: duplicate key 'a'; it already stands on line 1"),
        ("a: [1, 2", "f.yaml:1:9: not valid YAML"),
        ("a: !!python/object:os.system x", "tags are not used here"),
        ("a: !mine x", "tags are not used here"),
        ("? [1]\n: 2", "a key must be a word"),
        ("a: &x [*x]", "aliases repeat too much"),
        ("\tb: 1", "not valid YAML"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
    ],
)
def test_a_broken_document_says_where(text: str, said: str) -> None:
    found = [str(p) for p in parse(text, "f.yaml").problems]
    assert any(said in problem for problem in found), found


def test_a_fault_inside_a_quoted_text_is_counted_behind_the_quote() -> None:
    document = parse('a: "x y"\nb: x y\nc: ["x y"]', "f.yaml")
    for path in (("a", "="), ("b", "="), ("c", 0)):
        document.complain(path, "y is wrong", offset=2)
    assert [p.column for p in document.problems] == [7, 6, 8]


def test_aliases_cannot_blow_up() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]
    document = parse("l0: &l0 [x]\n" + "\n".join(levels), "f.yaml")
    assert any("aliases repeat too much" in str(p) for p in document.problems)


def test_yaml_1_2_words_are_words() -> None:
    data = parse("on: off\nyes: no\ncountry: NO\nn: 0o17\nf: .inf\nt: true", "f.yaml").data
    assert data == {
        "on": "off",
        "yes": "no",
        "country": "NO",
        "n": 15,
        "f": float("inf"),
        "t": True,
    }


def test_a_file_that_cannot_be_read_is_a_problem_like_any_other(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in str(read(tmp_path / "none.yaml").problems[0])
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff\xfe")
    assert "is not UTF-8" in str(read(tmp_path / "latin.yaml").problems[0])
    (tmp_path / "huge.yaml").write_bytes(b"#" * 1_000_001)
    assert "larger than" in str(read(tmp_path / "huge.yaml").problems[0])


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_raise(text: str) -> None:
    document = parse(text, "f.yaml")
    Reader(document).read(Drawing, document.data)


@pytest.mark.parametrize(
    ("text", "secs"), [("90s", 90), ("15m", 900), ("1h30m", 5400), ("1.5h", 5400), ("250ms", 0.25)]
)
def test_durations(text: str, secs: float) -> None:
    assert Duration.parse(text) == secs
    assert Duration.parse(str(Duration(secs))) == secs


@pytest.mark.parametrize("wrong", [5, "5", "5 s", "s", "-5s", "1x", "", None, True])
def test_what_is_not_a_duration_says_how_to_write_one(wrong: object) -> None:
    with pytest.raises(ValueError, match="write 90s, 15m, 1h30m"):
        Duration.parse(wrong)


def test_a_secret_comes_from_its_file_and_never_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("from file\n")
    assert SecretFile("token").read(tmp_path) == "from file"
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "token").write_text("from systemd")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert SecretFile("token").read(tmp_path) == "from systemd"
    with pytest.raises(ConfigError, match="no secret file 'other'"):
        SecretFile("other").read(tmp_path)
    (tmp_path / "empty").write_text(" \n")
    with pytest.raises(ConfigError, match="is empty"):
        SecretFile("empty").read(tmp_path)
