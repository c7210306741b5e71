"""What the documents say of notifiers is so."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ruamel.yaml import YAML

from aiopsd.document import read
from aiopsd.notifiers import MqttSettings, NotifierSettings, SlackSettings, WebhookSettings
from aiopsd.notifiers.slack_api import ADVICE
from aiopsd.notifiers.slack_message import WORDS
from aiopsd.notifiers.webhook import signature
from aiopsd.settings import Reader

DOCS = Path(__file__).parents[3] / "docs"
SLACK, OTHERS = (DOCS / name for name in ("slack.md", "notifiers.md"))


def snippets(document: Path, language: str) -> list[str]:
    found = re.findall(rf"( *)```{language}\n(.*?)```", document.read_text(), re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


@pytest.mark.parametrize(("document", "count"), [(SLACK, 1), (OTHERS, 2)])
def test_what_is_to_be_written_is_read(document: Path, count: int, tmp_path: Path) -> None:
    path = tmp_path / "aiopsd.yaml"
    entries = [text for text in snippets(document, "yaml") if text.startswith("notifiers:")]
    for entry in entries:
        path.write_text(entry)
        written = read(path)
        Reader(written).read(dict[str, NotifierSettings], written.data["notifiers"])
        assert written.problems == []
    assert len(entries) == count


@pytest.mark.parametrize(
    ("document", "settings"),
    [(SLACK, SlackSettings), (OTHERS, MqttSettings), (OTHERS, WebhookSettings)],
)
def test_every_setting_is_documented(document: Path, settings: type[msgspec.Struct]) -> None:
    text = document.read_text()
    missing = [f.name for f in msgspec.structs.fields(settings) if f.name not in text]
    assert not missing


def test_the_manifest_asks_for_what_is_explained() -> None:
    manifest: Any = YAML(typ="safe").load(snippets(SLACK, "yaml")[0])
    scopes = manifest["oauth_config"]["scopes"]["bot"]
    explained = re.findall(r"`((?:chat|channels|groups):\w+)`", SLACK.read_text())
    assert set(scopes) == set(explained)


def test_every_state_is_explained() -> None:
    text = SLACK.read_text()
    for word in ("Healing", "Undoing", "Resolved", *WORDS.values()):
        assert f"**{word}**" in text


def test_every_error_that_is_explained_is_known() -> None:
    codes = re.findall(r"^\| (`\w+`.*?) \|", SLACK.read_text(), re.MULTILINE)
    known = {code for cell in codes for code in re.findall(r"`(\w+)`", cell)}
    assert known & ADVICE.keys() == ADVICE.keys() - {"not_authed", "restricted_action"}


def test_the_check_of_the_signature_works() -> None:
    there: dict[str, Any] = {}
    exec(snippets(OTHERS, "python")[0], there)  # noqa: S102 - our own document
    header = signature("secret", b"{}", 1000)
    assert there["genuine"](header, b"{}", "secret", 1010.0)
    assert not there["genuine"](header, b"{ }", "secret", 1010.0)
    assert not there["genuine"](header, b"{}", "other", 1010.0)
    assert not there["genuine"](header, b"{}", "secret", 2000.0)
