"""Takes out of texts what nobody should keep, and says how often it did, by kind."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final
from urllib.parse import quote

from aiopsd.redaction.anchors import CROWDED, Anchors, flat, folded
from aiopsd.redaction.detector import PLACEHOLDER, Detector, Span, near
from aiopsd.redaction.escapes import readings, uncut
from aiopsd.redaction.people import PEOPLE
from aiopsd.redaction.pseudonyms import Names
from aiopsd.redaction.secret_names import SECRET_KEY
from aiopsd.redaction.secrets import SECRETS
from aiopsd.redaction.session_ids import SESSION_KEY, is_session
from aiopsd.redaction.values import is_secret

BUILT_IN: Final = (*SECRETS, *PEOPLE)
LONGEST_LINE: Final = 8192
"""A longer one is cut: what it is about stands at its beginning."""
_BEYOND: Final = 2048  # characters read after that, so that no cut goes through a secret
MOST_PLACES: Final = 96
"""Where one line has more places that could be a secret, it ends there."""
_MOST_LOOKS: Final = 4 * MOST_PLACES  # at what only begins like one, of each kind of anchor
_MOST_SIGNS: Final = 1536  # of those that escapes begin with
_AT_ONCE: Final = 256  # lines: what is worked on stays in the processor's cache
MOST_VALUES: Final = 100_000  # of labels, remembered
SHORTEST_KNOWN: Final = 6  # a secret of fewer characters is part of too many words,
LONGEST_WORD: Final = 16  # and of letters alone, of fewer than these, it may be one

Labels = dict[str, str]
Count = Callable[[str, int], None]


def known_forms(secrets: Iterable[str]) -> list[str]:
    """A secret that we hold, in each form in which it may come back. One that is a plain word, such
    as ``prometheus``, would take that word out of every label."""
    forms: set[str] = set()
    for secret in secrets:
        plain = secret.isalpha() and len(secret) < LONGEST_WORD
        if len(secret) >= SHORTEST_KNOWN and not plain:
            encoded = b64encode(secret.encode()).decode().rstrip("=")
            forms |= {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), encoded}
    return sorted(forms, key=len, reverse=True)


class Redactor:
    """``secrets``: values that may stand nowhere. ``keep``: whether a value is to stay.

    Pure: the same text gives the same result, and what was redacted stays as it is.
    """

    def __init__(
        self,
        names: Names | None = None,
        detectors: Iterable[Detector] = BUILT_IN,
        secrets: Iterable[str] = (),
        keep: Callable[[str], bool] = lambda _: False,
        keep_labels: Collection[str] = (),
        count: Count = lambda _kind, _values: None,
    ) -> None:
        self.names = names or Names()
        found = [one for one in detectors if self.names.action(one.kind) != "off"]
        self._detectors = [*map(_known, known_forms(secrets)), *found]
        self._always = [i for i, one in enumerate(self._detectors) if not one.anchors]
        self._anchors = Anchors(
            (anchor, i) for i, one in enumerate(self._detectors) for anchor in one.anchors
        )
        self._keep, self._keep_labels, self._tell = keep, frozenset(keep_labels), count
        self._seen: dict[str, str] = {}  # values of labels -> what is kept of them

    def renew(self, key: bytes) -> None:
        """From now on the pseudonyms are of this key."""
        if key != self.names.key:
            self.names.key, self._seen = key, {}

    # --- texts --------------------------------------------------------------------------

    def text(self, text: str) -> str:
        return self.texts([text])[0]

    def lines(self, lines: Sequence[str]) -> Sequence[str]:
        """Log lines; these very ones where nothing was taken out, else new ones."""
        if max(map(len, lines), default=0) > LONGEST_LINE:
            read = [line[: LONGEST_LINE + _BEYOND] for line in lines]
            return [line[:LONGEST_LINE] for line in self.texts(read, most=MOST_PLACES)]
        return self.texts(lines, most=MOST_PLACES)

    def texts(
        self, texts: Sequence[str], *, labels: bool = False, most: int | None = None
    ) -> Sequence[str]:
        clean: list[str] | None = None
        for begin in range(0, len(texts), _AT_ONCE):
            chunk = texts[begin : begin + _AT_ONCE]
            for at, text in self._rewritten(chunk, labels, most):
                clean = list(texts) if clean is None else clean
                clean[begin + at] = text
        return texts if clean is None else clean

    def _rewritten(
        self, texts: Sequence[str], labels: bool, most: int | None
    ) -> Iterator[tuple[int, str]]:
        """Those of them that are not clean, by their place among them."""
        read = readings(texts, None if most is None else _MOST_SIGNS)
        places, found = list(read), dict[int, tuple[int, list[Span]]]()
        for at, meant in read.items():
            if meant.end < len(texts[at]):
                found[at] = meant.end, []
        for at, end, spans in self._found([one.text for one in read.values()], labels, most):
            meant = read[places[at]]
            cut = meant.span(Span(0, end, "", "")).end
            found[places[at]] = min(meant.end, cut), [meant.span(span) for span in spans]
        ends = {at: end for at, (end, _) in found.items() if end < len(texts[at])}
        if ends:
            texts = [text[: ends.get(at)] for at, text in enumerate(texts)]
        for at, end, spans in self._found(texts, labels, most):
            least, before = found.get(at, (end, []))
            found[at] = min(end, least), before + spans
        for at, (end, spans) in found.items():
            if at in read:
                spans = uncut(texts[at][:end], spans)
            text = self._without(texts[at][:end], [one for one in spans if one.start < end])
            if at in ends or text is not texts[at]:
                yield at, text

    def _found(
        self, texts: Sequence[str], labels: bool, most: int | None
    ) -> Iterator[tuple[int, int, list[Span]]]:
        """Of those that are suspect: which one, where it ends, and what is in it."""
        suspects: dict[int, list[tuple[int, int]]] = {}
        looked = None if most is None else _MOST_LOOKS
        places = sorted(set(self._anchors.found(texts, looked)))
        if places:
            starts = list(accumulate((len(text) + 1 for text in texts), initial=0))
            for place, owner in places:
                at = bisect_right(starts, place) - 1
                suspects.setdefault(at, []).append((place - starts[at], owner))
        for owner in self._always:
            for at in self._detectors[owner].among(texts):
                suspects.setdefault(at, []).insert(0, (0, owner))
        for at, suspected in suspects.items():
            text = texts[at]
            if most is not None:
                last = next((i for i, one in enumerate(suspected) if one[1] == CROWDED), most)
                if len(suspected) > (last := min(last, most)):
                    text, suspected = text[: suspected[last][0]], suspected[:last]
            yield at, len(text), self._spans(text, suspected, labels)

    def _spans(self, text: str, suspected: Iterable[tuple[int, int]], labels: bool) -> list[Span]:
        spans: list[Span] = []
        done: dict[int, int] = {}  # detector -> up to where it has looked
        for place, owner in suspected:
            detector = self._detectors[owner]
            if place < done.get(owner, 0) or (labels and detector.prose):
                continue
            if detector.whole:
                done[owner] = len(text) + 1
            for span in detector.find(text, place):
                done[owner] = max(done.get(owner, 0), span.end)
                if not self._keep(span.value) and not self._keep(text[span.start : span.end]):
                    spans.append(span)
        return spans

    def _without(self, text: str, spans: list[Span]) -> str:
        """Where two overlap, the one that begins first, or is a secret, or is longer, says what it
        was; nothing stays of the other."""
        if not spans:
            return text
        parts, end = [], 0
        counted: Counter[str] = Counter()
        for span in sorted(spans, key=lambda one: (one.start, one.kind != "secret", -one.end)):
            if span.start >= end:
                parts += [text[end : span.start], self.names.name(span.kind, span.value)]
                counted[span.kind] += 1
            end = max(end, span.end)
        for kind, values in counted.items():
            self._tell(kind, values)
        return "".join((*parts, text[end:]))

    # --- what has structure -------------------------------------------------------------

    def labels(self, labels: Labels) -> Labels:
        """The same labels where there is nothing to take out."""
        return self._cleaned(labels, self._values(labels.values()))

    def streams(self, streams: Sequence[Labels]) -> Sequence[Labels]:
        """Labels of many lines, and their names; these very ones where there is nothing to take
        out of any. They are not remembered: most may never come again."""
        names = {name for labels in streams for name in labels}
        texts = list({value for labels in streams for value in labels.values()} | names)
        clean = dict(zip(texts, self.texts(texts, labels=True), strict=True))
        if not any(map(_kind_of, names)) and all(clean[text] == text for text in texts):
            return streams
        return [
            {clean[name]: value for name, value in self._cleaned(labels, clean).items()}
            for labels in streams
        ]

    def _cleaned(self, labels: Labels, clean: Mapping[str, str]) -> Labels:
        found: Labels = {}
        for name, value in labels.items():
            if name not in self._keep_labels:
                said = clean[value] if _is_name(name, value) else self._of_key(name, clean[value])
                if said != value:
                    found[name] = said
        return labels | found if found else labels

    def _values(self, values: Collection[str]) -> Mapping[str, str]:
        """Labels share their values with others: each is looked at once."""
        seen = self._seen
        fresh = [value for value in values if value not in seen]
        if fresh:
            if len(seen) > MOST_VALUES:
                seen = self._seen = {value: seen[value] for value in values if value in seen}
            seen.update(zip(fresh, self.texts(fresh, labels=True), strict=True))
        return seen

    def tree(self, found: Any) -> Any:
        """JSON: its texts, and what stands under a key such as ``password``, whatever it is."""
        texts: list[str] = []
        _gather(found, texts)
        return self._rebuilt(found, iter(self.texts(texts, labels=True)))

    def _rebuilt(self, found: Any, clean: Iterator[str]) -> Any:
        """``clean`` in the order of ``_gather``."""
        match found:
            case str():
                return next(clean)
            case int() if _is_long(found):
                said = next(clean)
                return found if said == str(found) else said
            case list() | tuple():
                return type(found)(self._entries(found, clean))
            case Mapping():
                built = [
                    (
                        key,
                        next(clean),
                        self.labels(one) if _are_labels(key, one) else self._rebuilt(one, clean),
                    )
                    for key, one in found.items()
                ]
                named = _named(found)
                return {
                    name: self._of_key(named if key in _VALUES else str(key), one)
                    for key, name, one in built
                }
        return found

    def _entries(self, found: Sequence[Any], clean: Iterator[str]) -> Iterator[Any]:
        """After ``"--password"`` stands one."""
        option = ""
        for entry in found:
            yield self._of_key(option, self._rebuilt(entry, clean))
            option = entry if isinstance(entry, str) and entry.startswith("-") else ""

    def _of_key(self, key: str, value: Any) -> Any:
        """A value, or each of a list, under a key that says that it is a secret."""
        kind = _kind_of(key)
        if not kind or self.names.action(kind) == "off":
            return value
        if isinstance(value, (list, tuple)):
            return type(value)(self._of_key(key, one) for one in value)
        if not isinstance(value, (str, int, float)) or isinstance(value, bool):
            return value
        said = str(value)
        if not said or _TAKEN.fullmatch(said):
            return value
        if not (is_session(said) if kind == "session" else is_secret(said, strong=False)):
            return value
        if self._keep(said):
            return value
        self._tell(kind, 1)
        return self.names.name(kind, said)


_TAKEN: Final = re.compile(rf"(?:\w{{1,20}} )?{PLACEHOLDER.pattern}")


_VALUES: Final = frozenset({"value", "Value", "val", "content", "default", "defaultValue"})


@lru_cache(10_000)
def _kind_of(key: str) -> str:
    if SESSION_KEY.fullmatch(key):
        return "session"
    return "secret" if SECRET_KEY.fullmatch(key) else ""


def _named(found: Mapping[Any, Any]) -> str:
    """``{"name": "DB_PASSWORD", "value": "x"}``"""
    name = next((found[key] for key in ("name", "Name", "key", "Key") if key in found), "")
    return name if isinstance(name, str) else ""


def _is_name(label: str, value: str) -> bool:
    """Whose ``token="prompt"`` or ``secret="db-credentials"`` says which one, not what it is."""
    strong = SECRET_KEY.fullmatch(label)
    if strong is None or strong["STRONG"]:
        return False
    return label == "secret" or len(value) < 8 or not any(c.isdigit() for c in value)


def _are_labels(key: Any, value: Any) -> bool:
    """Those of an event are kept as those of its series are."""
    return (
        key in ("labels", "entity")
        and isinstance(value, dict)
        and all(isinstance(one, str) for one in value.values())
    )


def _is_long(number: int) -> bool:
    """A card's number in JSON is a number; shorter ones are nobody's."""
    return abs(number) >= 10**12


def _gather(found: Any, texts: list[str]) -> None:
    match found:
        case str():
            texts.append(found)
        case int() if _is_long(found):
            texts.append(str(found))
        case list() | tuple():
            for entry in found:
                _gather(entry, texts)
        case Mapping():
            for key, entry in found.items():
                texts.append(str(key))
                if not _are_labels(key, entry):
                    _gather(entry, texts)


def _known(form: str) -> Detector:
    """Finds one value, as it is."""

    def find(text: str, _: int) -> Iterator[Span]:
        place = text.find(form)
        while place >= 0:
            yield Span(place, place + len(form), "secret", form)
            place = text.find(form, place + len(form))

    return Detector("secret", near(folded(flat(form)).decode("ascii")), find, whole=True)
