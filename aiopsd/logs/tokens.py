"""A masked line as tokens, and how likely each is to vary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Final

MAX_TOKENS, MAX_LEARNED = 160, 20_000

_MARKS: Final = r"""\s,;:=()\[\]{}|"'`\#&<>"""
_TOKEN: Final = re.compile(
    rf"\s*(?:\.{{4,}}(?=<\w+>)|(?:(?!\.{{4}})[^{_MARKS}])+(?=\.{{4,}}<)"
    rf"|[^{_MARKS}]*<[\w*]+>[.!?*]*|[^{_MARKS}]+|[{_MARKS[2:]}])"
)
_INSIDE: Final = re.compile(r"\w[._]\w")  # of a name, whatever it ends in: `order.placed`
_CAMEL: Final = re.compile(r"[a-z][A-Z]")
_THINGS: Final = """
    uid gid host hostname node interface name username account domain device driver module service
    app application package pkg process program command job task queue topic table database db file
    port via component container image pod volume unit group role bucket partition thread class
    channel key session backend frontend server proxy pool index shard cluster vhost zone region
    endpoint peer upstream stream consumer producer plugin policy branch schema column model"""
_NOUNS: Final = frozenset(_THINGS.split())
_MEASURES: Final = "bytes B KB MB GB TB KiB MiB GiB kB ms us ns sec secs seconds s"
UNITS: Final = frozenset(_MEASURES.split())
_STATES: Final = frozenset({"state", "states", "status", "mode", "transitioned"})
_TOWARDS: Final = frozenset({">", "to", "from", "into", "as", "now", "is", ":"})
_OPENING: Final = frozenset("({[")
_BECOMES: Final = frozenset({"now", "marked", "became"})
_BEFORE: Final = frozenset(
    {"for", "from", "to", "by", "via", "with", "on", "in", "into", "at", "of"}
)
_AFTER: Final = _BEFORE | {"after", "before", "as", "is", "was", "has", "and", "because", "since"}
_QUOTES: Final = {"'": "'", '"': '"', "`": "'"}
_TELLING: Final = re.compile(
    r"""(?:ed|ing|ly|able|ful|less|tion|ment|ure|ss|n't)\W*$
    |^(?:GET|PUT|POST|DELETE|HEAD|PATCH|up|down|on|off|in|out|to|from|by|for|of|at|is|was|has|are
    |not|no|and|or|with|as|the|a|an|ok|online|offline|open|opens?|closes?|starts?|stops?|begins?
    |ends?|enters?|leaves?|reads?|writes?|sent|sends?|lost|found|fails?|errors?|timeout|ready|idle
    |busy|full|empty|alive|dead|unknown|valid|invalid|new|old|low|high|name|id|data|space|mode
    |agent|runs?|sets?|gets?|adds?|removes?|creates?|updates?|deletes?|loads?|saves?|kills?|exits?
    |connects?|disconnects?|inits?|resets?|retry|binds?|joins?|left|made|done|began|begun|gone
    |success|failure|hits?|miss|missing|aborts?|cancels?|resumes?|pauses?|accepts?|rejects?|login|logout)\W*$""",
    re.VERBOSE | re.IGNORECASE,
)


class Kind(IntEnum):
    PLAIN = 0  # a word of the language
    MARK = 1  # punctuation
    NAME = 2  # looks like an identifier
    SLOT = 3  # stands where names stand: behind a noun such as `container`, where others stood
    STATE = 4  # stands where a state is told
    SOFT = 5  # all but surely a value
    VALUE = 6  # masked


VARYING: Final = frozenset({Kind.NAME, Kind.SLOT, Kind.STATE})


def tokens(masked: str) -> list[str]:
    """At least one; each with the blanks before it, so that joined they are the line."""
    return _TOKEN.findall(masked)[:MAX_TOKENS] or [""]


@lru_cache(10_000)
def is_telling(word: str) -> bool:
    """Verb-like forms, states, function words: they tell events apart rather than name things."""
    return _TELLING.search(word) is not None and _INSIDE.search(word) is None


class Kinds:
    """What kind each word of a line is, by its looks, by its neighbours, and by what this stream
    of lines taught: which words were values elsewhere, and between which words values stood."""

    def __init__(self) -> None:
        self.values: set[str] = set()
        self.places: set[tuple[str, str]] = set()

    def learn(self, line: Sequence[str], places: Iterable[int]) -> None:
        """At these places of it stand values."""
        words = [word.lstrip() for word in line]
        for place in places:
            word = words[place]
            if _alone(word) not in (Kind.PLAIN, Kind.NAME) or "<" in word or is_telling(word):
                continue
            if len(self.values) < MAX_LEARNED:
                self.values.add(word)
            around = _around(words, place)
            if around is not None and len(self.places) < MAX_LEARNED:
                self.places.add(around)

    def of(self, line: Sequence[str]) -> list[Kind]:
        """Of tokens with the blanks before them."""
        words = [word.lstrip() for word in line]
        lower = [word.lower().rstrip(".,!") for word in words]
        has_state = not _STATES.isdisjoint(lower)
        found: list[Kind] = []
        for place, word in enumerate(words):
            kind = _alone(word)
            if kind in (Kind.PLAIN, Kind.NAME):
                opens = line[place + 1][:1] in _OPENING if place + 1 < len(line) else False
                if place == 0 or opens:  # what is done, a call, a type
                    kind = self._leading(word, opens)
                elif word in UNITS and found[-1] == Kind.VALUE:
                    kind = Kind.SOFT
                else:
                    kind = self._among(kind, words, lower, place, has_state)
            found.append(kind)
        _quoted(words, found)
        return found

    def _leading(self, word: str, opens: bool) -> Kind:
        if word in self.values and not is_telling(word):
            return Kind.SLOT
        return Kind.NAME if ("." in word[1:-1] or "<n>" in word) and not opens else Kind.PLAIN

    def _among(
        self, kind: Kind, words: Sequence[str], lower: Sequence[str], place: int, has_state: bool
    ) -> Kind:
        word, before = words[place], lower[place - 1]
        after = lower[place + 1] if place + 1 < len(lower) else ""
        ends, tells = not after[:1].isalpha(), is_telling(word)
        if before == "=" and after == "=":  # an empty one, then the name of the next
            return Kind.PLAIN
        if before == "=" or (before == "user" and not tells):
            return Kind.SOFT
        if word == "root" and (ends or is_telling(after)):  # the account, not a file system's
            return Kind.SOFT
        if _is_state(word, before, after, has_state):
            return Kind.STATE
        thing = lower[place - 2] if before == ":" and place > 1 else before
        if thing in _NOUNS or word in self.values:
            return Kind.SLOT
        if not tells and (
            (before in _BEFORE and (ends or after in _AFTER))
            or _around(words, place) in self.places
        ):
            return Kind.SLOT
        return Kind.STATE if "_" in word and word.isupper() else kind  # a constant's name


def _is_state(word: str, before: str, after: str, has_state: bool) -> bool:
    """What something became, or is said to be."""
    if before in _BECOMES or (before in _TOWARDS and word.isupper() and len(word) > 1):
        return True
    return has_state and (before in _TOWARDS or before in _STATES or after in _STATES)


def is_setting(line: Sequence[str], place: int) -> bool:
    """`mailer=relay`: a word that belongs to the line for as long as it never varies."""
    word = line[place].lstrip()
    if place < 2 or line[place - 1].lstrip() != "=" or word == "root":
        return False
    plain = _alone(word) == Kind.PLAIN and not set(word) <= set("abcdef")
    return plain and line[place - 2].lstrip().lower() not in _NOUNS | {"user"}


def _around(words: Sequence[str], place: int) -> tuple[str, str] | None:
    before = words[place - 1] if place else ""
    after = words[place + 1] if place + 1 < len(words) else ""
    if not before or not (before[-1].isalpha() or after[:1].isalpha()):
        return None
    return before, after


def _quoted(words: Sequence[str], found: list[Kind]) -> None:
    """A word in quotes is a value, unless the line begins so."""
    for place, word in enumerate(words):
        if word not in _QUOTES or not place:
            continue
        if words[place + 2 : place + 3] == [_QUOTES[word]] and found[place + 1] <= Kind.SLOT:
            found[place + 1] = Kind.NAME


@lru_cache(10_000)
def _alone(word: str) -> Kind:
    if "<n>" in word:
        return Kind.NAME
    if "<" in word and len(word) > 2:
        return Kind.VALUE
    bare = word.rstrip(".!?*")
    if bare == "_":  # no name: a server of nginx, an empty field
        return Kind.SOFT
    if not any(map(str.isalnum, bare)):
        return Kind.MARK
    if bare[0] == "/" or "@" in bare or "$" in bare or "\\" in bare[:-1] or bare.count("/") >= 2:
        return Kind.SOFT
    if "_" in bare or "." in bare or _CAMEL.search(bare) or any(map(str.isdigit, bare)):
        return Kind.NAME
    return Kind.PLAIN
