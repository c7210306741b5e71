"""The rules of Block Kit, as Slack enforces them: blocks in, what is wrong with them out.

Source: docs.slack.dev/reference/block-kit and error texts quoted in public issues. Only the blocks
that suit an alert are known; an unknown one is refused, so that a test and not Slack finds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

MAX_BLOCKS = 50
MAX_TOTAL_CHARS = 13_200
"""Measured by users, not documented: slackapi/bolt-js#2509."""

Check: TypeAlias = Callable[[Any, str], Iterator[str]]
"""Takes a value and its JSON pointer, yields errors."""


def problems(blocks: Any, files: Container[str]) -> list[str]:
    """Everything that makes Slack answer `invalid_blocks`; `files` are the ids it can show."""
    misshapen = list(items(MAX_BLOCKS, typed(BLOCKS))(blocks, "/blocks"))
    if misshapen:
        return misshapen
    return [*_repeated_ids(blocks), *_unknown_files(blocks, "/blocks", files)]


def _repeated_ids(blocks: list[dict[str, Any]]) -> Iterator[str]:
    """A block_id counts for the whole message, an action_id for its block."""
    yield from _repeated(blocks, "block_id", "/blocks")
    for at, block in enumerate(blocks):
        yield from _repeated(block.get("elements", []), "action_id", f"/blocks/{at}")


def _repeated(objects: list[dict[str, Any]], name: str, pointer: str) -> Iterator[str]:
    for one, count in Counter(each[name] for each in objects if name in each).items():
        if count > 1:
            yield _error(f'{name} "{one}" already exists', pointer)


def _unknown_files(value: Any, pointer: str, files: Container[str]) -> Iterator[str]:
    if isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _unknown_files(inner, f"{pointer}/{at}", files)
    elif isinstance(value, dict):
        if "slack_file" in value and value["slack_file"]["id"] not in files:
            yield _error("invalid slack file", f"{pointer}/slack_file")
        for name, inner in value.items():
            yield from _unknown_files(inner, f"{pointer}/{name}", files)


def total_chars(value: Any) -> int:
    """The length of all strings that people or the app put in; type names don't count."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(total_chars, value))
    if isinstance(value, dict):
        return sum(total_chars(inner) for key, inner in value.items() if key != "type")
    return 0


def _error(text: str, pointer: str) -> str:
    return f"{text} [json-pointer:{pointer}]"


def string(limit: int) -> Check:
    """Some text of at most `limit` characters."""

    def check(value: Any, pointer: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield _error("must be a string", pointer)
        elif not value:
            yield _error("must be more than 0 characters", pointer)
        elif len(value) > limit:
            yield _error(f"must be less than {limit + 1} characters", pointer)

    return check


def url(limit: int) -> Check:
    def check(value: Any, pointer: str) -> Iterator[str]:
        yield from string(limit)(value, pointer)
        if isinstance(value, str) and not value.startswith(("https://", "http://")):
            yield _error("invalid url", pointer)

    return check


def one_of(*allowed: str) -> Check:
    def check(value: Any, pointer: str) -> Iterator[str]:
        if value not in allowed:
            yield _error(f"must be one of {', '.join(allowed)}", pointer)

    return check


def boolean(value: Any, pointer: str) -> Iterator[str]:
    if not isinstance(value, bool):
        yield _error("must be a boolean", pointer)


@dataclass(frozen=True)
class Shape:
    """An object with these fields and no others."""

    required: Mapping[str, Check] = field(default_factory=dict)
    optional: Mapping[str, Check] = field(default_factory=dict)
    any_of: tuple[str, ...] = ()

    def __call__(self, value: Any, pointer: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield _error("must be an object", pointer)
            return
        known = {**self.required, **self.optional}
        for name in self.required.keys() - value.keys():
            yield _error(f"missing required field: {name}", pointer)
        if self.any_of and not any(name in value for name in self.any_of):
            yield _error(f"missing required field: {' or '.join(self.any_of)}", pointer)
        for name, inner in value.items():
            if name in known:
                yield from known[name](inner, f"{pointer}/{name}")
            elif name != "type":
                yield _error(f"invalid additional property: {name}", pointer)


def typed(table: Mapping[str, Check], *types: str) -> Check:
    """An object whose `type` is one of these, by default any of the table."""

    def check(value: Any, pointer: str) -> Iterator[str]:
        kind = str(value.get("type")) if isinstance(value, dict) else ""
        if kind not in (types or table):
            yield _error(f"unsupported type: {kind}", pointer)
        else:
            yield from table[kind](value, pointer)

    return check


def text(limit: int, *types: str) -> Check:
    """A text object; without `types` mrkdwn or plain_text."""

    def check(value: Any, pointer: str) -> Iterator[str]:
        kind = value.get("type") if isinstance(value, dict) else None
        if kind not in (types or ("mrkdwn", "plain_text")):
            yield _error(f"unsupported type: {kind}", pointer)
            return
        extra = {"emoji": boolean} if kind == "plain_text" else {"verbatim": boolean}
        yield from Shape({"text": string(limit)}, extra)(value, pointer)

    return check


def items(limit: int, each: Check) -> Check:
    """One to `limit` of them."""

    def check(value: Any, pointer: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield _error("must be an array", pointer)
        elif not value:
            yield _error("no less than 1 items allowed", pointer)
        elif len(value) > limit:
            yield _error(f"no more than {limit} items allowed", pointer)
        else:
            for at, inner in enumerate(value):
                yield from each(inner, f"{pointer}/{at}")

    return check


BLOCK_ID: dict[str, Check] = {"block_id": string(255)}
IMAGE: dict[str, Check] = {"image_url": url(3000), "slack_file": Shape({"id": string(255)})}
CONFIRM = Shape(
    {
        "title": text(100, "plain_text"),
        "text": text(300),
        "confirm": text(30, "plain_text"),
        "deny": text(30, "plain_text"),
    },
    {"style": one_of("primary", "danger")},
)

ELEMENTS: dict[str, Check] = {
    "button": Shape(
        {"text": text(75, "plain_text")},
        {
            "action_id": string(255),
            "value": string(2000),
            "url": url(3000),
            "style": one_of("primary", "danger"),
            "confirm": CONFIRM,
            "accessibility_label": string(75),
        },
    ),
    "image": Shape({"alt_text": string(2000)}, IMAGE, any_of=tuple(IMAGE)),
    "mrkdwn": text(3000, "mrkdwn"),
    "plain_text": text(3000, "plain_text"),
}

BLOCKS: dict[str, Check] = {
    "header": Shape({"text": text(150, "plain_text")}, BLOCK_ID),
    "section": Shape(
        optional={
            "text": text(3000),
            "fields": items(10, text(2000)),
            "accessory": typed(ELEMENTS, "button", "image"),
            "expand": boolean,
            **BLOCK_ID,
        },
        any_of=("text", "fields"),
    ),
    "context": Shape(
        {"elements": items(10, typed(ELEMENTS, "mrkdwn", "plain_text", "image"))}, BLOCK_ID
    ),
    "actions": Shape({"elements": items(25, typed(ELEMENTS, "button"))}, BLOCK_ID),
    "image": Shape(
        {"alt_text": string(2000)},
        {**IMAGE, "title": text(2000, "plain_text"), **BLOCK_ID},
        any_of=tuple(IMAGE),
    ),
    "divider": Shape(optional=BLOCK_ID),
    "markdown": Shape({"text": string(12_000)}, BLOCK_ID),
}
