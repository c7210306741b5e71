"""What is packed is MessagePack: msgspec reads it as if it had written it."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.model import Halt
from aiopsd.packing import packed, sealed

plain = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False),
        st.text(st.characters(codec="utf-8")), st.binary(max_size=300),
    ),
    lambda inner: st.one_of(
        st.lists(inner), st.dictionaries(st.text(st.characters(codec="utf-8")), inner)
    ),
)  # fmt: skip


@given(plain)
def test_it_reads_as_what_msgspec_would_have_written(value: Any) -> None:
    assert msgspec.msgpack.decode(packed(value)) == value
    assert msgspec.msgpack.decode(sealed("band", 3, value)) == ["band", 3, packed(value)]


@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 70_000])
def test_containers_of_any_size(n: int) -> None:
    values = [b"x", {str(k): k for k in range(n)}, list(range(n)), tuple(range(n)), b"y" * n]
    assert msgspec.msgpack.decode(packed(values)) == [*values[:3], list(range(n)), b"y" * n]


def test_arrays_are_their_bytes() -> None:
    grid = np.arange(12, dtype=np.float32).reshape(3, 4)
    arrays = {
        "grid": grid, "turned": grid.T, "every second": grid[:, ::2], "flags": grid > 5,
        "none": np.zeros((0, 3)), "one": np.array(math.pi),
    }  # fmt: skip
    found = msgspec.msgpack.decode(packed(("rows", arrays)))
    assert found == ["rows", {name: one.tobytes() for name, one in arrays.items()}]


def test_structs_are_left_to_msgspec() -> None:
    halt = Halt(id="x", on=True, by="me", reason="", time_s=1.0)
    saved = packed(({3: halt}, [halt]))
    shape = tuple[dict[int, Halt], list[Halt]]
    assert msgspec.msgpack.decode(saved, type=shape) == ({3: halt}, [halt])
