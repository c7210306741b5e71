"""Detection that also takes in what no rule selects: raw series, under their own index."""

from __future__ import annotations

from collections.abc import Iterable

from aiopsd.model import Anomaly, Batch
from aiopsd.pipeline.detection import Detection, Findings


class Watching(Detection):
    """A batch of the built-in watch is no series of its own: the table has recorded its raw
    samples already, and its newest value stays the raw one."""

    def _rule(self, batch: Batch, found: Findings) -> None:
        if batch.rule in self.transforms.unruled:
            found.anomalies += self.watches[batch.rule].observe(batch)
        else:
            super()._rule(batch, found)

    def tick(self, now_s: float) -> Findings:
        """What has waited for company for long enough, though nothing more came."""
        with self._lock:
            found = Findings()
            for derived in self.transforms.tick(now_s):
                self._rule(derived, found)
            return found

    def adopt(self, anomalies: Iterable[Anomaly]) -> list[Anomaly]:
        """As before; the built-in watch knows its series by their raw names."""
        others, strangers = [], []
        for anomaly in anomalies:
            if anomaly.rule not in self.transforms.unruled:
                others.append(anomaly)
                continue
            with self._lock:
                index = self.table.intern(*self.transforms.named(anomaly.rule, anomaly.labels))
                if index >= 0:
                    self.watches[anomaly.rule].adopt(index, anomaly)
                else:
                    strangers.append(anomaly)
        return strangers + super().adopt(others)
