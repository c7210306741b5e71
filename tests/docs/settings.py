"""All that people may write, found by walking the structs: keys, types and defaults in words."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from aiopsd.config import DaemonSettings, PackSettings
from aiopsd.settings import Address, Duration, Expression, SecretFile

LONG = 6  # a choice of more words has a list of its own
ROOMS = {"sources": "Source", "notifiers": "Notifier", "executors": "Executor",
         "detector": "Detector"}  # fmt: skip
TYPES = {Duration: "duration", SecretFile: "secret file", Expression: "expression", str: "text",
         Address: "text",
         int: "whole number", float: "number", bool: "true, false"}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """One row of a table."""

    key: str
    type: str
    default: str


@dataclass(frozen=True)
class Table:
    """One struct; ``title`` is how the heading above its table ends."""

    title: str
    struct: type[msgspec.Struct]

    @property
    def rows(self) -> list[Setting]:
        hints = typing.get_type_hints(self.struct, include_extras=True)
        return [
            Setting(one.encode_name, _type(hints[one.name]), _default(one))
            for one in msgspec.structs.fields(self.struct)
        ]


def tables() -> list[Table]:
    """Of aiopsd.yaml and of a file of rules."""
    return [
        Table("`aiopsd.yaml`", DaemonSettings),
        *_below(DaemonSettings),
        Table("A pack", PackSettings),
        *_below(PackSettings),
    ]


def _below(struct: type[msgspec.Struct]) -> Iterator[Table]:
    hints = typing.get_type_hints(struct, include_extras=True)
    for one in msgspec.structs.fields(struct):
        hint = hints[one.name]
        for found in _structs(hint):
            tag = found.__struct_config__.tag
            many = "[]" if get_origin(hint) is tuple else ""
            title = f"{ROOMS[one.encode_name]} `{tag}`" if tag else f"`{one.encode_name}{many}`"
            yield Table(title, found)
            yield from _below(found)


def _structs(hint: Any) -> Iterator[type[msgspec.Struct]]:
    """The structs that a type speaks of, however deep."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    for argument in get_args(hint):
        yield from _structs(argument)


def _type(hint: Any) -> str:
    """In the words of the documents."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        words = [_type(one) for one in arguments if one is not types.NoneType]
        return " or ".join(dict.fromkeys(words))
    if origin is Literal:
        words = [f"`{word}`" for word in arguments if word]
        return ", ".join(words) if len(words) <= LONG else "a word of a list"
    if origin is tuple:
        return f"list of {_type(arguments[0])}" if arguments[0] in TYPES else "list"
    if origin is dict:
        return f"map to {_type(arguments[1])}"
    return TYPES.get(hint, "mapping")


def _default(field: Any) -> str:
    if field.required:
        return "required"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if isinstance(value, msgspec.Struct):
        return "below"
    if value is None or value in ("", (), {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    return f"`{value}`" if isinstance(value, (str, Duration)) else f"`{value:.12g}`"
