"""Gathers incidents with their runs and shows each at its place in Slack."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiopsd.contracts import NotifierContext
from aiopsd.model import Event, Incident, Run, Silence
from aiopsd.notifiers.said import Said
from aiopsd.notifiers.slack_api import SlackApi
from aiopsd.notifiers.slack_message import NEEDS_YOU, Message, ending, render
from aiopsd.notifiers.slack_place import QUIET, Place
from aiopsd.notifiers.story import story

CARDS = 500  # incidents in memory; more only while they are open
RETURN_SECS = 30.0  # after a restart the house notifies again, and runs may come after incidents


@dataclass
class Card:
    """The newest that we know of one incident."""

    place: Place
    incident: Incident | None = None
    runs: dict[str, Run] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Slack:
    """Keeps the promise of ``contracts.Notifier``; may be called for many incidents at once."""

    def __init__(
        self, api: SlackApi, channel: str, edit_every_secs: float, context: NotifierContext
    ) -> None:
        self._api = api
        self._channel = channel
        self._edit_every_secs = edit_every_secs
        self._context = context
        self._said = Said(context)
        self._cards: dict[str, Card] = {}
        self._began_s = context.clock()

    async def notify(self, event: Event) -> None:
        """Returns when Slack shows the newest state; an edit may have to wait for its turn."""
        if isinstance(event, Silence):
            await self._warn(event)
        if not isinstance(event, (Incident, Run)):
            return
        card = self._remember(event)
        async with card.lock:
            if card.incident is None or self._awaits_runs(card):
                return
            message = self._render(card, card.incident)
            was_there = card.place.is_there
            if not card.place.shows(message):
                await asyncio.sleep(card.place.rest_secs(self._edit_every_secs))
                message = self._render(card, card.incident)  # newer news may have come meanwhile
                await card.place.show(message, card.runs)
            lines = story(card.incident, card.runs.values())
            unmuted = _unmuted(card.incident) if was_there else ""
            await card.place.tell(lines, _cry_for_help(card, message) or unmuted)

    async def _warn(self, silence: Silence) -> None:
        """Once, in a message of its own; where an answer got lost perhaps twice."""
        before = self._said.about(silence.id)
        if before is None or before.state != "sent":
            await self._said.record(silence.id, "sending")
            await self._api.post(self._channel, text=ending(silence), **QUIET)
            await self._said.record(silence.id)

    async def close(self) -> None:
        """Every call has a connection of its own: nothing to close."""

    def _remember(self, event: Incident | Run) -> Card:
        name = event.incident if isinstance(event, Run) else event.id
        card = self._cards.pop(name, None)
        if card is None:
            card = Card(Place(self._api, self._said, self._channel, name, self._context))
        self._cards[name] = card
        if isinstance(event, Run):
            card.runs[event.id] = event
        else:
            card.incident = event
        if len(self._cards) > CARDS:
            over = (n for n, c in self._cards.items() if c.incident is None or c.incident.closed)
            self._cards.pop(next(over, ""), None)
        return card

    def _awaits_runs(self, card: Card) -> bool:
        """Just after a restart a message that showed runs is not edited to one without them."""
        missing = any(run not in card.runs for run in card.place.runs)
        return missing and self._context.clock() - self._began_s < RETURN_SECS

    def _render(self, card: Card, incident: Incident) -> Message:
        return render(incident, list(card.runs.values()), self._context.page_url)


def _cry_for_help(card: Card, message: Message) -> str:
    """The run that left the incident to people; edits are silent, so its line is not."""
    if message.word != NEEDS_YOU:
        return ""
    return max(card.runs.values(), key=lambda run: (run.started_s, run.id)).id


def _unmuted(incident: Incident) -> str:
    """It lasts, and nothing mutes it any more; a message that was there before is only edited."""
    last = incident.moments[-1] if incident.moments else None
    if incident.closed or incident.muted or last is None or last.what != "unmuted":
        return ""
    return f"unmuted/{last.time_s:.3f}"
