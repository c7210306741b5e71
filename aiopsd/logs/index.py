"""Where a line's template is found: by keys, by votes for a place that varies, by its form."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from aiopsd.logs.keys import Keys, Open
from aiopsd.logs.template import Template

MAX_KEYED: Final = 32  # lines whose keys find one template; then bolder keys do
MAX_KEYS, MAX_VOTES, MAX_VOTERS = 100_000, 50_000, 16
MAX_ALIKE, MAX_ENDS = 32, 20_000

Vote: TypeAlias = tuple[int, int]
"""A word that stood at an open place, and the template of its line."""


class Index:
    """Bounded: the oldest go first."""

    def __init__(self) -> None:
        self.keys: dict[int, int] = {}
        self.votes: dict[int, tuple[Vote, ...]] = {}
        self._ends: dict[tuple[int, int, str], list[int]] = {}

    def add(self, one: Template, found: Keys) -> None:
        """The line of these keys is one of this template."""
        if one.keyed >= MAX_KEYED:
            return
        self.keys[found.exact] = one.id
        for key in found.bolder:
            self.keys.setdefault(key, one.id)
        for opened in found.opened:
            if opened.key not in self.keys:
                self._vote(opened, one.id)
        while len(self.keys) > MAX_KEYS:
            del self.keys[next(iter(self.keys))]
        one.keys += (found.exact, *found.bolder)
        one.keyed += 1

    def _vote(self, opened: Open, number: int) -> None:
        voters = self.votes.get(opened.key, ())
        if len(voters) < MAX_VOTERS and all(word != opened.word for word, _ in voters):
            self.votes[opened.key] = (*voters, (opened.word, number))
            if len(self.votes) > MAX_VOTES:
                del self.votes[next(iter(self.votes))]

    def decide(self, key: int, one: Template) -> None:
        """This place varies."""
        self.votes.pop(key, None)
        self.keys[key] = one.id
        one.keys.append(key)

    def add_form(self, one: Template) -> None:
        for end in (0, -1):
            alike = self._ends.setdefault((len(one.form), end, one.form[end]), [])
            if one.id not in alike:
                alike.append(one.id)
                del alike[:-MAX_ALIKE]
                if len(self._ends) > MAX_ENDS:
                    del self._ends[next(iter(self._ends))]

    def alike(self, form: Sequence[str]) -> Iterator[int]:
        """Templates with forms of the same length and one end the same."""
        for end in (0, -1):
            yield from self._ends.get((len(form), end, form[end]), ())

    def forget(self, keys: Iterable[int], numbers: Container[int]) -> None:
        for key in keys:
            if self.keys.get(key) in numbers:
                del self.keys[key]
