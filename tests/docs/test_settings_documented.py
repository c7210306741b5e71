"""Every setting is documented, with its type and its default; and no other is."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from aiopsd.model import Kind
from aiopsd.remediation import schema
from aiopsd.settings import Settings
from aiopsd.transforms import As
from tests.docs.settings import Setting, Table, tables
from tests.docs.snippets import ROOT, prose

CONFIGURATION, RULES, PLAYBOOKS = (
    ROOT / "docs" / name for name in ("configuration.md", "rules.md", "playbooks.md")
)
TABLES = tables()
_ROW = re.compile(r"^\| `(?P<key>\w+)` \| (?P<type>[^|]+) \| (?P<default>[^|]+) \|", re.MULTILINE)


def documented() -> dict[str, list[Setting]]:
    """Tables of settings, by the heading above each."""
    found = {}
    for document in (CONFIGURATION, RULES):
        for section in re.split(r"^#+ ", prose(document), flags=re.MULTILINE)[1:]:
            if "| key | type | default |" in section:
                heading = section.partition("\n")[0]
                rows = [Setting(**match.groupdict()) for match in _ROW.finditer(section)]
                found[heading] = rows
    return found


DOCUMENTED = documented()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.title)
def test_every_setting_is_in_its_table_with_type_and_default(table: Table) -> None:
    (heading,) = [name for name in DOCUMENTED if name.endswith(table.title)]
    written = {row.key: row for row in DOCUMENTED[heading]}
    assert len(written) == len(DOCUMENTED[heading]), "a key stands twice"
    assert written == {row.key: row for row in table.rows}


def test_no_table_is_about_something_else() -> None:
    titles = tuple(table.title for table in TABLES)
    assert [heading for heading in DOCUMENTED if not heading.endswith(titles)] == []
    assert len(DOCUMENTED) == len(TABLES)


def test_the_walk_finds_what_there_is() -> None:
    """Or the tests above would hold of nothing."""
    titles = {table.title for table in TABLES}
    assert {"`aiopsd.yaml`", "`rules[]`", "Source `scrape`", "`targets[]`", "`limits`"} <= titles
    assert {"Detector `band`", "Notifier `slack`", "Executor `http`", "`change`"} <= titles


@pytest.mark.parametrize("words", [Kind, As], ids=["kind", "as"])
def test_every_word_of_a_long_list_is_explained(words: object) -> None:
    cells = "".join(re.findall(r"^\| (`.*?) \|", prose(RULES), re.MULTILINE))
    assert [word for word in get_args(words) if f"`{word}`" not in cells] == []


def playbook_keys() -> list[tuple[str, str]]:
    classes = (one for one in vars(schema).values() if isinstance(one, type))
    structs = [one for one in classes if issubclass(one, Settings) and one is not Settings]
    return [(one.__name__, key) for one in structs for key in one.__struct_encode_fields__]


@pytest.mark.parametrize(("struct", "key"), playbook_keys())
def test_every_key_of_a_playbook_is_in_its_document(struct: str, key: str) -> None:
    text = PLAYBOOKS.read_text()
    assert re.search(rf"[`.\[{{, ]{key}[`:,\[}}\]]", text), f"{struct}.{key}"
