"""river's ADWIN, one for each of many series: a window that forgets what was before a change.

(Bifet and Gavaldà, Learning from time-changing data with adaptive windowing, 2007.) river's
object is compiled and cannot be written down. So each is kept together with the values it has
seen, never more than LONGEST: at LONGEST it begins again with the newer half. What was saved is the
values, and feeding them to a new object gives the same object.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.errors import MissingExtra
from aiopsd.model import Floats

DELTA: Final = 0.002
LONGEST: Final = 1024  # values
MOST: Final = 2000  # series; river judges them one by one


@dataclass
class _Window:
    adwin: Any
    seen: list[float] = field(default_factory=list)


class AdaptiveWindows:
    """Windows by the series' index. Raises MissingExtra where river is not installed."""

    def __init__(self) -> None:
        try:
            from river.drift import ADWIN
        except ImportError:
            raise MissingExtra("detector step with method: adwin", "river") from None
        self._new: Callable[[], Any] = partial(ADWIN, delta=DELTA)
        self._windows: dict[int, _Window] = {}
        self.beyond = 0  # samples of series that were too many

    def room(self, series: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which of these have a window, or get one now; counts the samples of those that don't."""
        for index in series.tolist():
            if index not in self._windows and len(self._windows) < MOST:
                self._windows[index] = _Window(self._new())
        found = np.array([index in self._windows for index in series.tolist()], bool)
        self.beyond += int(len(found) - found.sum())
        return found

    def update(self, series: NDArray[np.int32], y: Floats) -> tuple[Floats, Floats]:
        """Single precision of each value; returns how many samples ago the mean changed (0: it
        did not), and by how much. A window that changed begins anew."""
        count, change = np.zeros(len(y)), np.zeros(len(y))
        for place, (index, value) in enumerate(
            zip(series.tolist(), y.astype(np.float32).tolist(), strict=True)
        ):
            window = self._windows[index]
            window.seen.append(value)
            window.adwin.update(value)
            if window.adwin.drift_detected:
                width = int(window.adwin.width)
                before = window.seen[: len(window.seen) - width]
                count[place] = width
                change[place] = window.adwin.estimation - float(np.mean(before or [0.0]))
                self._windows[index] = _Window(self._new())
            elif len(window.seen) >= LONGEST:
                self._windows[index] = self._fed(window.seen[LONGEST // 2 :])
        return count, change

    def forget(self, series: NDArray[np.int32]) -> None:
        for index in series.tolist():
            self._windows.pop(index, None)

    def reset(self, series: NDArray[np.int32]) -> None:
        """Begin anew: these series are now elsewhere."""
        for index in series.tolist():
            if index in self._windows:
                self._windows[index] = _Window(self._new())

    def _fed(self, values: list[float]) -> _Window:
        """A change among old values was spoken of, or was none while the window was longer."""
        window = _Window(self._new())
        for value in values:
            if window.adwin.drift_detected:
                window = _Window(self._new())
            window.seen.append(value)
            window.adwin.update(value)
        if window.adwin.drift_detected:
            window = _Window(self._new())
        return window

    def save(self) -> dict[int, bytes]:
        return {i: np.array(one.seen, np.float32).tobytes() for i, one in self._windows.items()}

    def load(self, saved: dict[int, bytes]) -> None:
        """Raises ValueError, and leaves what is here, on what no window can have seen."""
        if len(saved) > MOST:
            raise ValueError(f"{len(saved)} saved windows are more than {MOST}")
        found = {}
        for index, block in saved.items():
            values = np.frombuffer(block, np.float32)
            if len(values) >= LONGEST or not np.isfinite(values).all():
                raise ValueError("a saved window contradicts itself")
            found[index] = self._fed(values.tolist())
            if len(found[index].seen) != len(values):
                raise ValueError("a saved window contradicts itself")
        self._windows = found
