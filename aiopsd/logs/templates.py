"""Masked messages to templates, online: a word varies once enough different words stood there.

Two messages that agree in all words but one vote for that place. Names and identifiers need few
votes to become a variable; plain words more, and words that tell events apart (``started``,
``failed``) most of all: better one template too many than two events in one. A template keeps the
text under which it was first seen, so that its name never changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from aiopsd.rows import pack, unpack

MAX_NAME_CHARS: Final = 200
MAX_VOTES: Final = 20_000  # places that may turn out to vary
MOST_NEEDED: Final = 12  # votes, for a word that tells events apart
KEEP_SECS: Final = 86400.0  # a full table forgets what was not seen for a day
OTHER: Final = "<other>"
ANY: Final = "<*>"

_NOUN: Final = re.compile(
    r"(?:user|uid|host|node|interface|name|account|domain|device|driver|module|app|application"
    r"|package|process|program|command|job|task|queue|topic|table|database|db|file|port|component"
    r"|container|image|pod|volume|unit|group|role|bucket|partition|thread|class|channel|key"
    r"|session)[:=]?",
    re.IGNORECASE,
)
_TELLING: Final = re.compile(
    r"(?:ed|ing|tion|ment|able)\W*$|^(?:GET|PUT|POST|DELETE|HEAD|PATCH|up|down|on|off|in|out|to|from"
    r"|by|for|of|at|is|was|has|are|not|no|and|or|with|the|a|an|ok|online|offline|opens?|closes?"
    r"|starts?|stops?|begins?|ends?|reads?|writes?|sent|sends?|lost|found|fails?|errors?|timeout"
    r"|ready|idle|busy|full|empty|dead|unknown|valid|invalid|new|old|low|high)\W*$",
    re.IGNORECASE,
)
_VALUE: Final = re.compile(r"<\w+>")
_IDENTIFIER: Final = re.compile(r"[a-z][A-Z]|[_./@$\\<'\"]")


class Templates:
    """At most ``limit`` templates; when none can be forgotten, what is new is ``<other>``."""

    def __init__(self, limit: int = 2000) -> None:
        self.limit = limit
        self._names: dict[str, float] = {}  # name -> when last seen; least lately first
        self._forms: dict[str, str] = {}  # masked message, or one with variable words -> name
        self._votes: dict[str, list[str]] = {}  # form with one place open -> names that fit

    def __len__(self) -> int:
        return len(self._names)

    def name(self, words: Sequence[str], time_s: float) -> str:
        """The template of this masked message, learned if new. What kind of value stands at a
        place makes no difference."""
        key = [_VALUE.sub(ANY, word) for word in words]
        name = self._forms.get(" ".join(key)) or self._known(key)
        return self.touch(name or self._new(" ".join(words), key, time_s), time_s)

    def touch(self, name: str, time_s: float) -> str:
        """Seen again."""
        if name in self._names:
            del self._names[name]
            self._names[name] = time_s
        return name

    def __contains__(self, name: str) -> bool:
        return name in self._names or name == OTHER

    def _known(self, words: Sequence[str]) -> str | None:
        """By a place that varies, known or by this message's own vote."""
        opened = list(_opened(words))
        for _, form in opened:
            if form in self._forms:
                return self._forms[form]
        for place, form in opened:
            voters = self._votes.get(form, ())
            if voters and len(voters) + 1 >= _needed(words, place):
                del self._votes[form]
                self._forms[form] = voters[0]
                return voters[0]
        return None

    def _new(self, text: str, words: Sequence[str], time_s: float) -> str:
        if len(self._names) >= self.limit and not self._forget_oldest(time_s):
            return OTHER
        name = text[:MAX_NAME_CHARS] or "<empty>"
        self._names[name] = time_s
        self._forms[" ".join(words)] = name
        for _, form in _opened(words):
            voters = self._votes.setdefault(form, [])
            if len(voters) < MOST_NEEDED:
                voters.append(name)
        while len(self._votes) > MAX_VOTES:
            del self._votes[next(iter(self._votes))]
        return name

    def _forget_oldest(self, time_s: float) -> bool:
        name, seen_s = next(iter(self._names.items()))
        if time_s - seen_s < KEEP_SECS:
            return False
        del self._names[name]
        self._forms = {form: n for form, n in self._forms.items() if n != name}
        self._votes = {
            form: rest for form, v in self._votes.items() if (rest := [n for n in v if n != name])
        }
        return True

    def save(self) -> bytes:
        return pack("templates", 1, self._names, self._forms, self._votes)

    def load(self, saved: bytes) -> None:
        """Raises ValueError on what is no saved state."""
        shape = tuple[dict[str, float], dict[str, str], dict[str, list[str]]]
        self._names, self._forms, self._votes = unpack("templates", 1, saved, shape)


def _opened(words: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Each place that is a word, and the message with that place open."""
    for place, word in enumerate(words):
        if word[:1] != "<" and len(words) > 1:
            yield place, " ".join((*words[:place], ANY, *words[place + 1 :]))


def _needed(words: Sequence[str], place: int) -> int:
    """How many different words make this place a variable."""
    word, before = words[place], words[place - 1] if place else ""
    if _IDENTIFIER.search(word[:-1]):
        return 3
    if _NOUN.fullmatch(before) and not _TELLING.search(word):
        return 2
    return MOST_NEEDED if _TELLING.search(word) or place == 0 or len(words) < 4 else 4
