"""Time as a listener lives it: a stretch in which nobody spoke hardly counts.

After a restart, or when a source was away, all series are old at once. That says something of
us and nothing of them.
"""

from __future__ import annotations


class Heard:
    """Seconds that were listened to; one silence between two ticks counts at most ``cap_secs``.

    It never runs backward, and a clock that jumps ahead gives it ``cap_secs`` once.
    """

    def __init__(self, cap_secs: float) -> None:
        self.cap_secs = cap_secs
        self.now = 0.0
        self.last_s: float | None = None

    def hear(self, time_s: float) -> float:
        """A tick at this data time; returns the seconds heard so far."""
        if self.last_s is not None:
            self.now += min(max(time_s - self.last_s, 0.0), self.cap_secs)
        self.last_s = time_s
        return self.now
