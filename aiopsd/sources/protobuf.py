"""Protobuf's wire format, read where it lies: no message classes, no copies.

Source: https://protobuf.dev/programming-guides/encoding/ . Unknown fields are passed over, packed
and single numbers both understood, as every reader must.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_DOUBLE = struct.Struct("<d")
_SIZES = {FIXED64: 8, FIXED32: 4}


class Malformed(ValueError):
    """These bytes are not such a message; said in a sentence."""


class Field(NamedTuple):
    """One field of a message: a number for VARINT, else bytes ``start:end`` of the whole."""

    number: int
    kind: int
    value: int
    start: int
    end: int


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The number at this place, of 64 bits, and the place after it."""
    value = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
        if shift > 63:
            raise Malformed("a number of more than 64 bits")
    raise Malformed("it ends within a number")


def fields(data: bytes, at: int, end: int) -> Iterator[Field]:
    """All fields of the message in ``data[at:end]``, in the order of the wire."""
    while at < end:
        began = at
        tag, at = varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 2**29:
            raise Malformed(f"byte {began}: there is no field {number}")
        if kind == VARINT:
            start = at
            value, at = varint(data, at, end)
            yield Field(number, kind, value, start, at)
            continue
        if kind == BYTES:
            size, at = varint(data, at, end)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise Malformed(f"byte {began}: there is no wire type {kind}")
        if size > end - at:
            raise Malformed(f"byte {began}: a field that is longer than what holds it")
        yield Field(number, kind, 0, at, at + size)
        at += size


def signed(value: int) -> int:
    """An ``int64``, of the number on the wire."""
    return value - 2**64 if value >= 2**63 else value


def zigzag(value: int) -> int:
    """A ``sint32`` or ``sint64``."""
    return (value >> 1) ^ -(value & 1)


def number(field: Field) -> int:
    """The field as a whole number. Raises Malformed where it is something else."""
    if field.kind != VARINT:
        raise Malformed(f"field {field.number} should be a whole number")
    return field.value


def double(data: bytes, field: Field) -> float:
    if field.kind != FIXED64:
        raise Malformed(f"field {field.number} should be a double")
    found: float = _DOUBLE.unpack_from(data, field.start)[0]
    return found


def text(data: bytes, field: Field) -> str:
    try:
        return inner(data, field).decode()
    except UnicodeDecodeError:
        raise Malformed(f"field {field.number} is not UTF-8 text") from None


def inner(data: bytes, field: Field) -> bytes:
    if field.kind != BYTES:
        raise Malformed(f"field {field.number} should have a length")
    return data[field.start : field.end]


def numbers(data: bytes, field: Field) -> list[int]:
    """Of a repeated whole number: one, or many packed into one field."""
    if field.kind == VARINT:
        return [field.value]
    inner(data, field)
    found, at = [], field.start
    while at < field.end:
        value, at = varint(data, at, field.end)
        found.append(value)
    return found


def doubles(data: bytes, field: Field) -> list[float]:
    """Of a repeated double: one, or many packed into one field."""
    if field.kind == FIXED64:
        return [double(data, field)]
    packed = inner(data, field)
    if len(packed) % 8:
        raise Malformed(f"field {field.number} should hold doubles")
    return list(struct.unpack(f"<{len(packed) // 8}d", packed))
