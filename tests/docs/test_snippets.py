"""What the documents say to write is right: YAML is read, Python runs, commands and links exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiopsd.cli import COMMANDS, _parser
from aiopsd.config import DaemonSettings, PackSettings, RuleSettings
from aiopsd.document import Document, parse
from aiopsd.executors import default_executors
from aiopsd.remediation.playbook import load_playbook
from aiopsd.settings import Reader
from tests.docs.snippets import ROOT, Snippet, documents, prose, snippets

PLAYBOOKS = ROOT / "docs" / "playbooks.md"  # tests/unit/remediation reads its snippets
OTHERS = {"display_information"}  # first keys of what is not ours: Slack's manifest


def of(*languages: str) -> list[Any]:
    return [pytest.param(one, id=one.where) for document in documents()
            for one in snippets(document, *languages)
            if languages != ("yaml",) or document != PLAYBOOKS]  # fmt: skip


def faults(document: Document) -> list[str]:
    """Read as what it is, by the reader of the daemon."""
    reader, data = Reader(document), document.data
    if isinstance(data, list):
        reader.read(list[RuleSettings], data)
    elif "playbook" in data:
        executors = {name: one.build(Path()) for name, one in default_executors().items()}
        load_playbook(document, executors, rules=None)
    elif "pack" in data:
        reader.read(PackSettings, data)
    elif next(iter(data)) not in OTHERS:
        reader.read(DaemonSettings, {"sources": {}} | data)
    return [str(problem) for problem in document.problems]


@pytest.mark.parametrize("snippet", of("yaml"))
def test_yaml_is_read_by_the_real_reader(snippet: Snippet) -> None:
    document = parse(snippet.text, snippet.where)
    assert document.problems == []
    assert faults(document) == []


@pytest.mark.parametrize(
    "wrong", ["- {id: a}", "pack: a", "rules: 5", "playbook: v1", "notifiers: {a: {type: x}}"]
)
def test_a_wrong_snippet_would_be_found(wrong: str) -> None:
    assert faults(parse(wrong, "wrong"))


@pytest.mark.parametrize("snippet", of("python"))
def test_python_runs(snippet: Snippet) -> None:
    """What the parts do is tested in test_parts.py."""
    exec(compile(snippet.text, snippet.where, "exec"), {"__name__": "snippet"})  # noqa: S102


# --- commands ---------------------------------------------------------------------------


def commands(text: str) -> Iterator[list[str]]:
    """Each call of aiopsd, in lines of a shell or of its output after a prompt."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|\|\||[;|]", re.sub(r"(^|\s)#.*", "", line).removeprefix("$ ")):
            try:
                words = shlex.split(part)
            except ValueError:  # prose with an apostrophe: no command
                continue
            at = next((i for i, word in enumerate(words) if Path(word).name == "aiopsd"), None)
            if at is not None and (at == 0 or set(words[at + 1 : at + 2]) & set(COMMANDS)):
                yield words[at + 1 :]


def every_command() -> list[Any]:
    found = []
    for document in documents():
        name = document.relative_to(ROOT)
        shells = [one.text for one in snippets(document, "sh", "console", "")]
        spans = re.findall(r"`((?:\.venv/bin/)?aiopsd [a-z][^`]*)`", prose(document))
        for words in [words for text in (*shells, *spans) for words in commands(text)]:
            found.append(pytest.param(words, id=f"{name} {' '.join(words)}"))
    return found


@pytest.mark.parametrize("words", every_command())
def test_commands_and_their_options_exist(words: list[str]) -> None:
    """By the real argument parser; a command alone is a mention of it."""
    if len(words) == 1 and words[0] in COMMANDS:
        return
    assert _parser(words).parse_args(words).command == words[0]


def test_commands_are_found() -> None:
    text = "$ aiopsd chek\nx && .venv/bin/aiopsd halt \\\n --targt a | b\nsystemctl start aiopsd\n"
    assert list(commands(text)) == [["chek"], ["halt", "--targt", "a"]]
    assert len(every_command()) >= 20
    assert len(of("yaml")) >= 15
    assert len(of("python")) >= 5
    assert len(links()) >= 20
    for words in commands(text):
        with pytest.raises(SystemExit):
            _parser(words).parse_args(words)


# --- links ------------------------------------------------------------------------------


def anchors(document: Path) -> set[str]:
    """Headings as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def links() -> list[Any]:
    return [pytest.param(document, target, id=f"{document.relative_to(ROOT)} {target}")
            for document in documents()
            for target in re.findall(r"\]\(([^)\s]+)\)", prose(document))
            if "://" not in target]  # fmt: skip


@pytest.mark.parametrize(("document", "target"), links())
def test_links_lead_somewhere(document: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    file = (document.parent / path).resolve() if path else document
    assert file.exists(), target
    assert not anchor or anchor in anchors(file), f"{anchor}: {sorted(anchors(file))}"
