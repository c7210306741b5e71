"""What each member of a group should be, by all that the others are at the same time.

Members are normalised by their own level and spread; their covariance is learned; and its inverse
holds the regression of each member on all others (Dempster 1972). What remains of a member then is
its residual: 1 is usual. A member that is missing is left out of the regression exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.groups.rounds import Round
from aiopsd.model import Floats
from aiopsd.rows import At, Column, Rows

MOST: Final = 32  # members of a group that are judged
WARM: Final = 30  # rounds before a member takes part
MEMORY: Final = 2000.0  # rounds
CLIP: Final = 8.0  # spreads; nothing counts for more
CLIP_LEARNED: Final = 5.0
RIDGE: Final = 0.05  # of a member that no other can know
RELATIVE: Final = 0.005  # of the level: no spread is smaller ...
GRAIN: Final = 0.5  # ... nor than this of the smallest step between two values

MEMBER: Final = {
    "slot": Column(-1.0),  # its place in the group's matrix; -1: there was none
    "n": Column(),
    "level": Column(),
    "miss": Column(),  # mean deviation
    "last": Column(np.nan),
    "grain": Column(np.inf),  # smallest step between two values so far
}
GROUP: Final = {"covariance": Column(0.0, np.float64, MOST * MOST), "learned": Column()}

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judgement:
    """Of the members of a round, shapes ``[n]``."""

    z: Floats  # as tables [groups, MOST]: 0 where there is nobody
    spread: Floats
    residual: Floats
    expected: Floats
    usual: Floats  # residual 1, in units of the series


def seat(members: Rows, groups: Rows, over: Round) -> None:
    """Gives new members a place in their group's matrix, as long as there are places."""
    new = members["slot"][over.at] < 0
    for group in np.unique(over.place[new]).tolist():
        mine = over.at[over.place == group]
        _, everyone = members.known()
        same = everyone[members["group"][everyone] == members["group"][mine[0]]]
        free = sorted(set(range(MOST)) - set(members["slot"][same].astype(int).tolist()))
        for row, slot in zip(mine[members["slot"][mine] < 0].tolist(), free, strict=False):
            members["slot"][row] = slot
            matrix = groups["covariance"][over.groups[group]].reshape(MOST, MOST)
            matrix[slot, :] = matrix[:, slot] = 0.0
            matrix[slot, slot] = 1.0


def spreads(members: Rows, at: At) -> Floats:
    grain = members["grain"][at]
    grain = np.where(np.isfinite(grain), GRAIN * grain, 0.0)
    least = np.maximum(RELATIVE * np.abs(members["level"][at]), grain)
    return np.asarray(np.maximum(np.maximum(1.25 * members["miss"][at], least), 1e-12))


def judge(members: Rows, groups: Rows, over: Round) -> Judgement:
    """What is left of each member; all of them have a place and are warm."""
    at, slot = over.at, members["slot"][over.at].astype(np.intp)
    spread = spreads(members, at)
    z = np.zeros((len(over.groups), MOST))
    z[over.place, slot] = np.clip((over.x - members["level"][at]) / spread, -CLIP, CLIP)
    there = np.zeros(z.shape, bool)
    there[over.place, slot] = True
    matrix = groups["covariance"][over.groups].reshape(len(over.groups), MOST, MOST)
    both = there[:, :, None] & there[:, None, :]
    ridge = np.where(there, RIDGE, 1.0)[:, None] * np.eye(MOST)
    inverse = np.linalg.inv(np.where(both, matrix, 0.0) + ridge)
    told = (inverse * z[:, None, :]).sum(axis=2)[over.place, slot]
    precision = np.maximum(np.diagonal(inverse, axis1=1, axis2=2)[over.place, slot], 1e-6)
    left = told / precision
    return Judgement(
        z=z,
        spread=spread,
        residual=told / np.sqrt(precision),
        expected=members["level"][at] + spread * (z[over.place, slot] - left),
        usual=spread / np.sqrt(precision),
    )


def learn(groups: Rows, over: Round, z: Floats, weight: Floats) -> None:
    """Takes in a round of warm members, as far as the ``weight`` of each group."""
    at = over.groups
    groups["learned"][at] += weight
    gain = weight * np.maximum(1 / (groups["learned"][at] + 2), 1 / MEMORY)
    matrix = groups["covariance"][at]
    seen = (z[:, :, None] * z[:, None, :]).reshape(len(z), MOST * MOST)
    groups["covariance"][at] = matrix + gain[:, None] * (seen - matrix)


def follow(members: Rows, at: At, x: Floats, weight: Floats) -> None:
    """Level and spread of each member: plain means at first, and nothing far out at once."""
    n = members["n"][at]
    step = np.abs(x - members["last"][at])
    members["grain"][at] = np.fmin(members["grain"][at], np.where(step > 0, step, np.inf))
    members["last"][at] = x
    gain = np.where(n < WARM, 1.0, weight) * np.maximum(1 / (n + 1), 1 / MEMORY)
    d = x - members["level"][at]
    limit = np.where(n < WARM, np.inf, CLIP_LEARNED * spreads(members, at))
    d = np.clip(d, -limit, limit)
    members["level"][at] += gain * d
    members["miss"][at] += gain * (np.abs(d) - members["miss"][at])
    members["n"][at] = n + 1
