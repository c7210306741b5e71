"""What share of belief does each service get? Calibrated: of first suspects with 0.8, at least 0.8
are right, on systems that the numbers were not fitted to (docs/benchmarks.md).

A softmax over the nats, with one more candidate: "none of these".
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aiopsd.model import Floats

TEMPERATURE: Final = 0.8  # nats that count as one; fits give 0.5, and strange systems are harder
NONE_OF_THESE: Final = 1.0  # nats: what noise alone gives the luckiest of some dozens of services
CLEAR: Final = 0.3  # below it, one first suspect in three is wrong


def shares(nats: Floats) -> Floats:
    """``[services]``, in [0, 1]; what is left of 1 is "none of these"."""
    if not len(nats):
        return nats
    most = max(float(nats.max()), NONE_OF_THESE)
    weight = np.exp((nats - most) / TEMPERATURE)
    share: Floats = weight / (weight.sum() + np.exp((NONE_OF_THESE - most) / TEMPERATURE))
    return share
