"""One run's page in the journal: each version is durable before the next thing happens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from aiopsd.contracts import Clock
from aiopsd.model import Moment, Run, StepRecord
from aiopsd.remediation.vault import Vault

MAX_CHARS = 600  # of an error or a line of the story

Journal = Callable[[Run], Awaitable[None]]
"""Durable when it returns; tells everyone who looks on."""


class Ledger:
    """Holds the newest version of a run, and writes every change of it."""

    def __init__(self, run: Run, journal: Journal, clock: Clock, vault: Vault) -> None:
        self.run = run
        self._journal = journal
        self._clock = clock
        self._vault = vault

    def record(self, step: str) -> StepRecord | None:
        return next((one for one in self.run.steps if one.id == step), None)

    async def write(self, *told: tuple[str, str], **changes: Any) -> None:
        """Changes of the run's fields, and lines of its story: (what, text)."""
        now_s = self._clock()
        lines = [
            Moment(time_s=now_s, what=w, text=_cut(self._vault.clean(text))) for w, text in told
        ]
        self.run = replace(self.run, moments=(*self.run.moments, *lines), **changes)
        await self._journal(self.run)

    async def put(
        self, *records: StepRecord, told: tuple[str, str] | None = None, **changes: Any
    ) -> None:
        """New versions of steps, in one write."""
        steps = {one.id: one for one in self.run.steps}
        steps |= {one.id: self._cleaned(one) for one in records}
        await self.write(*([told] if told else []), steps=tuple(steps.values()), **changes)

    def _cleaned(self, record: StepRecord) -> StepRecord:
        return replace(
            record,
            inputs=self._vault.clean_inputs(record.inputs),
            before=self._vault.clean(record.before),
            result=self._vault.clean(record.result),
            error=_cut(self._vault.clean(record.error)),
        )


def _cut(text: str) -> str:
    """For people; only after the secrets are out, since a cut could go through one."""
    return text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 3] + "..."
