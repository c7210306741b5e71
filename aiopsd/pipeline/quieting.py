"""What mutes incidents, in the correlate stage: silences, windows, explanations, storms.

People's hand-overs are ``add`` and ``end``; both raise Refused. Everything is journalled first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Literal

import msgspec

from aiopsd.contracts import Clock, Evidence
from aiopsd.correlation.grouping import Grouping
from aiopsd.correlation.quiet.quiet import Quiet, found
from aiopsd.correlation.quiet.silences import ended, made, until
from aiopsd.correlation.quiet.storm import RULE
from aiopsd.correlation.topology import Layout
from aiopsd.errors import Refused
from aiopsd.model import Incident, Silence
from aiopsd.pipeline.publishing import Publish
from aiopsd.pipeline.state import State
from aiopsd.telemetry import Telemetry, log

JUMP_SECS, JUMPED_SECS = 5.0, 600.0  # of the clock; for so long that is a sign against it


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What ``aiopsd silence add`` asks for."""

    matchers: tuple[str, ...]
    owner: str
    reason: str
    starts_s: float
    ends_s: float
    kind: Literal["silence", "maintenance"]


class Quieting:
    """``sources``, ``notifiers``: parts whose going away is a sign against the monitor;
    ``steady``: seconds by a clock that nobody sets."""

    def __init__(
        self,
        quiet: Quiet,
        state: State,
        telemetry: Telemetry,
        sources: Collection[str] = (),
        notifiers: Collection[str] = (),
        steady: Callable[[], float] = lambda: asyncio.get_running_loop().time(),
    ) -> None:
        self.quiet = quiet
        self._state = state
        self._telemetry = telemetry
        self._sources, self._notifiers = sources, notifiers
        self._steady = steady
        self._clocks: tuple[float, float] | None = None
        self._jumped: tuple[float, float] | None = None  # when, by how much

    def storm(
        self, grouping: Grouping, layout: Layout, touched: Sequence[Incident], now_s: float
    ) -> list[Incident]:
        """What the storm's own incident has become, when there is news of it."""
        known = self._state.incidents | {one.id: one for one in touched}
        loud = self.quiet.unsilenced(known.values(), now_s)
        news = self.quiet.storm.observe(loud, self._signs(now_s), now_s)
        return grouping.absorb([news], layout, (), now_s) if news is not None else []

    async def mute(
        self, grouping: Grouping, evidence: Evidence, publish: Publish
    ) -> list[Incident]:
        """Open incidents that are muted by something else now, or by nothing any more."""
        due = self.quiet.due(grouping.open, evidence.now_s)
        for one in due:
            if one.warned_s == evidence.now_s and not one.closed:
                log.warning("silence ends soon id=%s owner=%s at=%s then_told=%s", one.id,
                            one.owner, until(one.ends_s), ",".join(one.mutes))  # fmt: skip
        if due:
            await publish(*due)
        changed = self.quiet.judge(grouping.open, evidence, self._storm_id(grouping))
        for incident in changed:
            grouping.put(incident)
        return changed

    def storming(self) -> str:
        """What breaks at once; "" where nothing does, or people have resolved it."""
        known = (i for i in self._state.incidents.values() if not i.closed)
        on = any(one.rule == RULE for i in known for one in i.anomalies)
        return self.quiet.storm.said() if on else ""

    async def add(
        self,
        matchers: Sequence[str],
        *,
        owner: str,
        reason: str,
        starts_s: float,
        ends_s: float,
        kind: Literal["silence", "maintenance"],
        now_s: float,
        publish: Publish,
    ) -> Silence:
        silence = made(
            matchers,
            owner=owner,
            reason=reason,
            starts_s=starts_s,
            ends_s=ends_s,
            now_s=now_s,
            kind=kind,
            others=self._state.silences.values(),
        )
        await publish(silence)
        kept = self._state.silences[silence.id]  # as it may be repeated
        log.info("silence id=%s owner=%s until=%s", kept.id, kept.owner, until(ends_s))
        return kept

    async def end(self, name: str, by: str, now_s: float, publish: Publish) -> Silence:
        silence = ended(found(self._state.silences, name), by, now_s)
        await publish(silence)
        log.info("silence id=%s ended by=%s", name, by)
        return silence

    def commands(
        self, clock: Clock, publish: Publish
    ) -> Mapping[str, Callable[[dict[str, Any], str], Awaitable[Any]]]:
        """What people may ask, see ``web.control``; who asks owns it, if nobody else is named."""

        async def add(request: dict[str, Any], by: str) -> Silence:
            try:
                one = msgspec.convert(request, _Wanted)
            except msgspec.ValidationError as error:
                raise Refused(f"that is no silence: {error}") from None
            return await self.add(
                one.matchers, owner=one.owner or by, reason=one.reason, starts_s=one.starts_s,
                ends_s=one.ends_s, kind=one.kind, now_s=clock(), publish=publish,
            )  # fmt: skip

        async def end(request: dict[str, Any], by: str) -> Silence:
            return await self.end(str(request.get("id")), by, clock(), publish)

        return {"silence add": add, "silence end": end}

    def _storm_id(self, grouping: Grouping) -> str:
        """Its incident; none where people have resolved it: then each is told."""
        if self.quiet.storm.anomaly is None:
            return ""
        mine = (i.id for i in grouping.open for one in i.anomalies if one.rule == RULE)
        return next(mine, "")

    def _signs(self, now_s: float) -> list[str]:
        """Against the monitor: who feeds it, the network of this host, its clock."""
        gone = sorted(self._telemetry.silent(self._sources))
        found_ = [f"{name} does not answer" for name in gone]
        unheard = sorted(self._telemetry.silent(self._notifiers))
        if gone and unheard:
            found_.append(f"nor does {unheard[0]}: is the network of this host well?")
        mono = self._steady()
        before, self._clocks = self._clocks, (now_s, mono)
        if before is not None:
            jump = (now_s - before[0]) - (mono - before[1])
            if abs(jump) > JUMP_SECS:
                self._jumped = now_s, jump
        if self._jumped is not None and 0 <= now_s - self._jumped[0] < JUMPED_SECS:
            found_.append(f"the clock of this host jumped by {self._jumped[1]:+.0f} s")
        return found_
