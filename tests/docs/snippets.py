"""What stands between fences in the documents."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Snippet:
    """``where`` is clickable: file:line of its first line."""

    where: str
    language: str
    text: str


def documents() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")),
            *sorted((ROOT / "systemd").glob("*.md"))]  # fmt: skip


def snippets(document: Path, *languages: str) -> list[Snippet]:
    """Without the indent that a list gives them."""
    text, found = document.read_text(), []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start(3)) + 1
        code = re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE)
        found.append(Snippet(f"{document.relative_to(ROOT)}:{line}", match[2], code))
    return [one for one in found if one.language in languages]


def prose(document: Path) -> str:
    """The rest of it."""
    return _FENCE.sub("", document.read_text())
