"""YAML 1.2 that remembers where each thing stood, so that every complaint names a place.

Strict: no duplicate keys, no tags, no multiple documents. Reading goes on after a fault, so
that a person sees all faults at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Path_: TypeAlias = tuple[str | int, ...]
MAX_BYTES = 1_000_000  # a file that people edit; anything larger is a mistake
PLAIN = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp")
MAX_NODES = 50_000  # aliases can make a small file enormous


@dataclass(frozen=True, order=True)
class Problem:
    """One wrong entry: where, what is wrong, what was meant."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.text}"


@dataclass
class Document:
    """Plain data, the place of every entry, and what was wrong with the text."""

    file: str
    data: Any = None
    problems: list[Problem] = field(default_factory=list)
    _places: dict[Path_, tuple[int, int]] = field(default_factory=dict)
    _quoted: set[Path_] = field(default_factory=set)

    def place(self, path: Path_) -> tuple[int, int]:
        """Line and column (from 1) of an entry, or of its nearest parent."""
        while path and path not in self._places:
            path = path[:-1]
        return self._places.get(path, (1, 1))

    def complain(self, path: Path_, text: str, *, offset: int | None = None) -> None:
        """``offset``: of a character inside the entry's text, where the fault is."""
        line, column = self.place(path)
        if offset is not None:
            column += offset + (path in self._quoted)
        self.problems.append(Problem(self.file, line, column, text))


def read(path: Path, shown_as: str | None = None) -> Document:
    """Reads a file; trouble with the file itself is a problem like any other."""
    name = shown_as or str(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            return _unreadable(name, f"is larger than {MAX_BYTES:,} bytes")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        return _unreadable(name, f"is not UTF-8 text (byte {error.start})")
    except OSError as error:
        return _unreadable(name, f"cannot be read: {error.strerror}")
    return parse(text, name)


def parse(text: str, name: str) -> Document:
    document = Document(name)
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        document.problems.append(Problem(name, line, column, f"not valid YAML: {error.problem}"))
        return document
    except (YAMLError, ValueError, RecursionError) as error:
        document.problems.append(Problem(name, 1, 1, f"not valid YAML: {error}".split("\n")[0]))
        return document
    if node is not None:
        document.data = _Reader(document).value(node, ())
    return document


def _unreadable(name: str, why: str) -> Document:
    return Document(name, problems=[Problem(name, 1, 1, why)])


class _Reader:
    """Nodes to plain data, noting places on the way."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.left = MAX_NODES
        self.open: set[int] = set()  # nodes being read: an alias to one of them never ends

    def value(self, node: Node, path: Path_) -> Any:
        self.document._places.setdefault(path, _place(node))
        self.left -= 1
        if self.left < 0 or id(node) in self.open:
            if self.left in (-1, 0) or id(node) in self.open:
                self.document.complain(path, "aliases repeat too much here")
            return None
        if str(node.tag).removeprefix("tag:yaml.org,2002:") not in PLAIN:
            self.document.complain(path, f"tags are not used here: {node.tag}")
            return None
        self.open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, path)
            if isinstance(node, SequenceNode):
                return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
            return self._scalar(node, path) if isinstance(node, ScalarNode) else None
        finally:
            self.open.discard(id(node))

    def _mapping(self, node: MappingNode, path: Path_) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else None
            if key is None:
                self.document.complain(path, "a key must be a word")
                continue
            here = (*path, key)
            if key in found:
                first = self.document.place(here)[0]
                line, column = _place(key_node)
                text = f"duplicate key {key!r}; it already stands on line {first}"
                self.document.problems.append(Problem(self.document.file, line, column, text))
                continue
            self.document._places[here] = _place(key_node)
            found[key] = self.value(value_node, here)
            if isinstance(value_node, ScalarNode):
                self.document._places[(*here, "=")] = _place(value_node)
                if value_node.style in ("'", '"'):
                    self.document._quoted.add((*here, "="))
        return found

    def _scalar(self, node: ScalarNode, path: Path_) -> Any:
        if node.style in ("'", '"'):
            self.document._quoted.add(path)
        text, kind = str(node.value), str(node.tag).rsplit(":", 1)[-1]
        try:
            match kind:
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case "int":
                    return int(text.replace("_", ""), 0 if text[:2] in ("0x", "0o") else 10)
                case "float":
                    return float(
                        text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan")
                    )
        except ValueError:
            self.document.complain(path, f"not a number: {text!r}")
            return None
        if "\0" in text:
            self.document.complain(path, "a NUL character has no meaning here")
        return text


def _place(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
