"""Batches of lines to templates, the fast path.

A line stops at the first layer that knows it. The batch, less its digits (a translation at memory
speed), is looked up as a whole; what misses is looked up less its hexadecimal runs; then the header
is cut off and the message looked up; then secrets are taken out and words masked; only a new masked
line is placed. What is remembered of a line is a hash: it may hold secrets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from hashlib import blake2b
from operator import itemgetter
from typing import Final, NamedTuple

from aiopsd.logs.header import HEAD_CHARS, Header, Row
from aiopsd.logs.lines import first_and_exception, level_of_words, read_json, read_text
from aiopsd.logs.templates import OTHER, Templates
from aiopsd.logs.words import Words, named
from aiopsd.redaction.unkeyed import redact
from aiopsd.rows import pack, unpack

MAX_LINE, MAX_JSON, MAX_MESSAGE = 8192, 65_536, 4096
MAX_CACHED, MAX_MASKED, MAX_STREAMS = 100_000, 20_000, 500
SAMPLE_FIRST, SAMPLE_LATER, SETTLED = 128, 64, 500  # lines to learn a header from

LOOKS: Final = 32

_HEX: Final = re.compile(rb"[0-9a-f]{8,}(?:-[0-9a-f]{4,})*")
_COLOURS: Final = re.compile(rb"\x1b\[[0-9;]{0,20}[A-Za-z]")
_DIGITS: Final = b"0123456789"
_id: Final = itemgetter(0)


class Known(NamedTuple):
    """What a line says. The level is debug, info, warning, error, critical or empty."""

    template: int
    level: str = ""
    service: str = ""  # where the structure names one


class Reader:
    """``clean``: takes secrets out of a message before anything is learned from it."""

    def __init__(self, templates: Templates, clean: Callable[[str], str] = redact) -> None:
        self.templates, self._clean = templates, clean
        self._headers: dict[str, Header] = {}
        self._time_s = 0.0
        self._begin()

    def _begin(self) -> None:
        self._lines: dict[int, Known] = {}
        self._messages: dict[int, Known] = {}
        self._masked: dict[int, Known] = {}
        self._unsettled: dict[int, int] = {}  # messages that are still looked at, how often more
        self._words = Words()

    def read(self, lines: Sequence[bytes], stream: str = "", time_s: float = 0.0) -> list[Known]:
        """What each line says, as far as it is known when all of them were read."""
        self._time_s = time_s
        json = [n for n, line in enumerate(lines) if line[:1] == b"{" and line[-1:] == b"}"]
        if not json:
            found = self._text(lines, stream) if lines else []
        elif len(json) == len(lines):
            found = self._json(lines, stream)
        else:
            text = sorted(set(range(len(lines))).difference(json))
            parts = dict(zip(json, self._json([lines[n] for n in json], stream), strict=True))
            parts |= zip(text, self._text([lines[n] for n in text], stream), strict=True)
            found = [parts[n] for n in range(len(lines))]
        joins = self.templates.joins  # some while this batch was read
        if joins and not joins.keys().isdisjoint(map(_id, found)):
            found = [one._replace(template=joins.get(one[0], one[0])) for one in found]
        return found

    def ids(self, lines: Sequence[bytes], stream: str = "") -> list[int]:
        return list(map(_id, self.read(lines, stream)))

    def _json(self, lines: Sequence[bytes], stream: str) -> list[Known]:
        said = [read_json(line) if len(line) <= MAX_JSON else read_json(line[:MAX_LINE])
                for line in lines]  # fmt: skip
        messages = [one.message[:MAX_LINE].encode(errors="replace") for one in said]
        found = self._text(messages, stream + " json")
        return [
            Known(known.template, one.level or known.level, one.service or known.service)
            if one.level or one.service
            else known
            for known, one in zip(found, said, strict=True)
        ]

    def _text(self, lines: Sequence[bytes], stream: str) -> list[Known]:
        if max(map(len, lines)) > MAX_LINE:
            lines = [line[:MAX_LINE] for line in lines]
        text = b"\n".join(lines)
        if b"\x1b" in text:
            lines = [_COLOURS.sub(b"", line) for line in lines]
            text = b"\n".join(lines)
        if text.count(b"\n") != len(lines) - 1:
            lines = [_one_line(line) for line in lines]
            text = b"\n".join(lines)
        header = self._header(lines, stream)
        keys = list(map(hash, text.translate(None, _DIGITS).split(b"\n")))
        found = list(map(self._lines.get, keys))
        if None in found:
            self._fill(found, keys, lines, header)
        return self._alive(found, lines, header)  # type: ignore[arg-type] # none is missing now

    def _fill(
        self, found: list[Known | None], keys: list[int], lines: Sequence[bytes], header: Header
    ) -> None:
        """What was not known by its digits alone; each kind of line is read once."""
        missing = [n for n, one in enumerate(found) if one is None]
        first = {keys[n]: n for n in reversed(missing)}
        ones = sorted(first.values())
        bare = _HEX.sub(b"", b"\n".join([lines[n] for n in ones])).translate(None, _DIGITS)
        by_key = dict(zip(ones, map(hash, bare.split(b"\n")), strict=True))
        known = self._lines
        for n in missing:
            key = by_key[first[keys[n]]]
            found[n] = known.get(key) or self._line(lines[n], key, header)

    def _header(self, lines: Sequence[bytes], stream: str) -> Header:
        header = self._headers.get(stream)
        if header is None:
            if len(self._headers) >= MAX_STREAMS:
                del self._headers[next(iter(self._headers))]
            header = self._headers[stream] = Header()
        most = SAMPLE_LATER if header.seen > SETTLED else SAMPLE_FIRST
        if header.due(len(lines)):
            some = lines[:: 1 + len(lines) // most]
            if header.learn([line[:HEAD_CHARS].decode(errors="replace") for line in some]):
                self._lines.clear()
        return header

    def _alive(self, found: list[Known], lines: Sequence[bytes], header: Header) -> list[Known]:
        """Templates that were seen again; those forgotten meanwhile are learned anew."""
        canon, templates = self.templates.canon, self.templates
        numbers = set(map(canon, set(map(_id, found))))
        gone = {number for number in numbers if number not in templates and number != OTHER}
        if gone:
            for n, known in enumerate(found):
                if canon(known.template) in gone and known.template not in templates:
                    found[n] = self._line(lines[n], hash(lines[n]), header, anew=True)
            numbers = set(map(canon, set(map(_id, found))))
        templates.touch(numbers, self._time_s)
        return found

    def _line(self, line: bytes, key: int, header: Header, *, anew: bool = False) -> Known:
        text = line[:MAX_MESSAGE].decode(errors="replace")
        message, message_key, level = text, key, ""
        if header.plan:
            end = header.end(text)
            message = text[end:].strip()
            if "L" in header.plan:
                level = level_of_words(text[:end])
            message_key = hash((_digitless(message), level))
        known = None if anew else self._messages.get(message_key)
        if known is None:
            known = self._message(message, level, anew)
            if known.template == OTHER:  # next time there may be room
                return known
            self._messages[message_key] = known
        if self._is_settled(known.template, message_key, message):
            self._lines[key] = known
        if len(self._lines) + len(self._messages) > MAX_CACHED:
            self._lines.clear()
            self._messages.clear()
            self._unsettled.clear()
        return known

    def _is_settled(self, number: int, key: int, message: str) -> bool:
        """A name with a digit, as `eth0`, is looked at some times to see whether it varies."""
        left = self._unsettled.get(key, LOOKS)
        names = named(message) if left else ()
        if not names or not self.templates.saw(number, names):
            left = 0
        if left:
            self._unsettled[key] = left - 1
            return False
        return True

    def _message(self, message: str, level: str, anew: bool) -> Known:
        """Secrets are out before anything is learned; what is known needs only its hash."""
        masked = self._words.mask(message)
        key = _digest(masked, level)
        known = None if anew else self._masked.get(key)
        if known is None:
            clean = self._clean(message)
            told, said, service = read_text(clean)
            if said != message:
                masked = self._words.mask(said)
            number = self.templates.place(masked, self._time_s)
            known = Known(number, told or level or level_of_words(message), service)
            if len(self._masked) > MAX_MASKED:
                self._masked.clear()
            if number != OTHER:
                self._masked[key] = known
        return known

    def save(self) -> bytes:
        headers = [(stream, *header.state()) for stream, header in self._headers.items()]
        return pack("reader", 1, self.templates.save(), headers, self._masked)

    def load(self, saved: bytes) -> None:
        """Raises ValueError on what is no saved state."""
        shape = tuple[bytes, list[tuple[str, str, int, int, list[Row]]], dict[int, Known]]
        templates, headers, masked = unpack("reader", 1, saved, shape)
        self.templates.load(templates)
        self._headers = {stream: Header(*state) for stream, *state in headers}
        self._begin()
        self._masked = masked


def _digest(masked: str, level: str) -> int:
    """The same in every process: it is saved."""
    text = f"{level} {masked}".encode(errors="replace")
    return int.from_bytes(blake2b(text, digest_size=7).digest(), "big")


def _one_line(event: bytes) -> bytes:
    if b"\n" not in event:
        return event
    said = first_and_exception(event.decode(errors="replace"))
    return said.replace("\n", " ").encode(errors="replace")


def _digitless(message: str) -> bytes:
    return _HEX.sub(b"", message.encode(errors="replace")).translate(None, _DIGITS)
