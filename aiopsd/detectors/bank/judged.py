"""What the bank thinks of a stretch of ticks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.bank.clock import Flags, Singles
from aiopsd.model import Floats
from aiopsd.rows import At


@dataclass(frozen=True, slots=True)
class Judged:
    """What is thought of a stretch of ticks, all ``[T, n]``."""

    score: Floats  # in [0, 1]; 0.5 and more: strange now
    suspicious: Flags  # the first of an event
    alert: Singles  # in [0, 1]: severity where an event begins or rises, else 0
    certain: Flags
    observed: Floats
    expected: Floats
    low: Floats
    high: Floats
    plain: Singles  # the common surprise in decades,
    capped: Singles  # and as it counts for alerts
    samples: NDArray[np.int32]

    @classmethod
    def empty(cls, ticks: int, n: int) -> Judged:
        """To be filled in. The wide ones are one block: the system has large pages for that."""
        names = [name for name, kind in cls.__annotations__.items() if kind == "Floats"]
        found: dict[str, Any] = dict(zip(names, np.empty((len(names), ticks, n)), strict=True))
        for name, kind in cls.__annotations__.items():
            if name not in found:
                found[name] = np.empty((ticks, n), _TYPES[kind])
        return cls(**found)

    def at(self, rows: slice, place: slice) -> Judged:
        """Views."""
        return Judged(*[getattr(self, name)[rows, place] for name in self.__annotations__])

    def take(self, place: At, part: Judged) -> None:
        for name in self.__annotations__:
            getattr(self, name)[:, place] = getattr(part, name)


_TYPES: Final[dict[str, Any]] = {
    "Singles": np.float32,
    "Flags": np.bool_,
    "NDArray[np.int32]": np.int32,
}
