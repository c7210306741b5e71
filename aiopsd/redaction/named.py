"""Secrets by the name that stands before them: ``password=``, ``"api_key": ``, ``--token``.

A name, a relation and a value. What the relation is decides how much the value has to look like a
secret: nothing behind ``=``, a little behind ``is``, and in ``password x`` it has to tell itself.
The value is taken to its end, closed or not; the name stays. Linear: it matches at one place, gives
nothing back (possessive), is bounded, and reads on only where it takes something (``_NEAR``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from aiopsd.redaction.detector import PLACEHOLDER, Kind, Span
from aiopsd.redaction.secret_names import IS, NAMED, QUALIFIED, QUOTE, WHOSE
from aiopsd.redaction.values import is_prose, is_secret, is_telling

_CLOSE: Final = r"(?:\[\w{0,20}\])?[\])]?(?:\\{0,3}[\"'`](?:\]|>>)?|\*\*)?"
_YAML: Final = r"(?:(?<=\s)!{1,2}[a-z]{2,20}\s{1,3})?(?:(?<=\s)[|>][+-]?\d?\s{1,40}+)?"
_WRAP: Final = (
    r"(?:<<|[A-Za-z_.]{1,20}[(\[](?=[\\\"'bBuUrRN])|[(\[{])?"
    r"(?:[bBuUrRNnfF$@](?=\\{0,3}[\"']))?"
)
_AGAIN: Final = r"(?=[^\s,;:&\"'}\])>=<|/\\.?!(])"  # "ab"cd is one word for a shell
_GO_ON: Final = (  # a separator that no other name follows is part of the value
    r"(?:[^\s,;&\"'}\]\\]{1,512}+|\\(?:[ ](?=[^\s\\]))?"
    r"|[,;&](?![\s\"'\[{}\]<\\]|$|[\w.-]{1,32}+\s?[=:])|[}\]\"'](?=\w))"
)
_VALUE: Final = (
    r"(?:(?P<ESC>\\{1,3})\"(?P<escaped>(?:[^\"\\]|(?!(?P=ESC)\")\\{1,7}+\"?){1,4096}+)"
    rf"|\"(?P<double>(?:[^\"\\]|\\.|\"\"(?=\w)){{1,4096}}+(?:\"{_AGAIN}{_GO_ON}{{1,512}}+)?)"
    rf"|'(?P<single>(?:[^'\\]|\\.|''(?=\w)){{1,4096}}+(?:'{_AGAIN}{_GO_ON}{{1,512}}+)?)"
    r"|[`“«\u2018„](?P<other>[^`”»\u2019“]{1,4096}+)"
    rf"|(?!{PLACEHOLDER.pattern})(?P<bare>[^\s,;&\"'}}\]\\]{_GO_ON}{{0,4096}}+))"
)
_SIGN: Final = re.compile(rf"{_CLOSE}{IS}{_YAML}{_WRAP}{_VALUE}")
_MORE: Final = re.compile(rf"{QUOTE}(?:\s{{0,3}},\s{{0,3}}|\s{{1,3}})(?![\])}}]){_VALUE}")
_LOOSE: Final = re.compile(
    rf"{_CLOSE}\s{{0,3}}(?:->|→|\||~|::)\s{{0,3}}(?![^\s|]{{0,99}}\|\S)"
    rf"{_VALUE}"
)
_ADDRESS: Final = re.compile(r"[0-9a-f]{6,8}")  # of an object: Token{9f4ef63
_LOOSE_SIGNS: Final = ("-", "→", "|", "~", ":")
_CALL: Final = re.compile(
    r"\s?[(\[{](?:\\{0,3}\"(?P<double>[^\"\\]{1,512}+)|'(?P<single>[^'\\]{1,512}+)"
    r"|(?P<bare>[^\s,;&\"'()\[\]{}]{1,512}+))"
)
_SPACE: Final = re.compile(rf"\s{{1,3}}(?:\d\s)?{_VALUE}")
_VERB: Final = (
    r"(?:(?:is|was|are|set|changed|reset|updated|now|to|as|ist|lautet|est|es|[éè])"
    r"(?:\s{1,3}|(?=:)))"
)
_PROSE: Final = re.compile(
    rf"(?:\s{{1,3}}(?:(?:is\s|was\s)?[a-z]{{5,12}}\s){{0,2}}(?i:for|of|von|für|de|pour|para)(?:\s{{1,3}}[^\s:=]{{1,64}}){{1,3}}?"
    rf"(?:{IS}|\s{{1,3}}{_VERB}{{1,3}}:?\s{{0,3}})|\s{{1,3}}(?:[a-z]{{5,12}}\s){{0,2}}{_VERB}{{1,3}}:?\s{{0,3}}"
    rf"|\s(?:entered|given|used|provided|supplied|generated){IS}){_VALUE}"
)
_XML: Final = re.compile(
    r"(?:\\{0,3}[\"']?(?:\s[^<>]{0,80}+)?>(?:\s{0,40}<(?:value|string)>)?"
    r"|\s{0,9}</[\w:.-]{1,40}>\s{0,40}<(?:value|string|val|data)\b[^<>]{0,40}>)"
    r"\s{0,40}(?:<!\[CDATA\[)?(?P<xml>[^<>]{1,4096}+)(?=\]\]>|<[/!]|\]?>?</)"
)
_ATTRIBUTE: Final = re.compile(
    r"(?i:name|key|field|param(?:eter)?|variable|property|id|header|env)\\{0,3}[\"']?\s{0,3}[:=]"
    r"\s{0,3}\\{0,3}[\"']?[\w.:/\[\]-]{0,80}\Z"
)
_PAIR: Final = re.compile(
    r"\\{0,3}[\"']?[\s,;](?:(?!\n\s{0,9}-|(?<![a-z])(?i:name|key))[^{}<>]){0,80}?"
    rf"(?<![A-Za-z])(?i:(?:parameter)?value|val|content|default(?:value)?|data){QUOTE}"
    rf"\s{{0,3}}[:=]\s{{0,3}}{_VALUE}"
)
_BEFORE: Final = re.compile(
    rf"[vV]alue{QUOTE}\s{{0,3}}[:=]\s{{0,3}}{_VALUE}"
    rf"{QUOTE}\s{{0,3}},\s{{0,3}}{QUOTE}(?i:name|key|field)"
)
_NEXT_NAME: Final = re.compile(r"[A-Za-z]\w{0,40}:[&{\[]")  # Value: ValueFrom:&EnvVarSource{}
_FORM: Final = re.compile(r"\"\r?\n\r?\n(?P<form>[^\r\n]{1,4096}+)")
_TUPLE: Final = re.compile(rf"\\{{0,3}}[\"'],\s{{0,3}}(?=\\{{0,3}}[\"']){_VALUE}")
_OPENED: Final = re.compile(r"[(\[{]\s{0,3}\\{0,3}[\"'][\w.-]{0,60}\Z")
_OPTION: Final = re.compile(r"(?<![\w-])--?[\w.-]{0,60}\Z")
_ROW: Final = re.compile(r"[\"`\]]?\s{0,3}(?:,[^()]{0,400}+)?\)\s{0,3}(?i:values?)\s{0,3}\(")
_CELL: Final = re.compile(
    r"\s{0,3}(?:N?'(?:[^']|''){0,4096}+'|\"[^\"]{0,4096}+\"|[^,()'\"]{1,99}+)"
)
_MOST: Final = 64  # values of one name
_NEAR: Final = 400
"""Characters from a name on that tell whether anything is taken. What is not taken may hold the
next name, and that one the next: were each read to the end, a line would be read once for each."""
_EDGE: Final = 64  # what a value that ends before it is followed by has been seen


def named(text: str, place: int) -> Sequence[Span]:
    """What the name at this place gives away."""
    name = NAMED.match(text, place)
    if name is None or (name["SHORT"] and not _begins(text, place)):
        return ()
    if text.startswith("<", place - 1) and PLACEHOLDER.match(text, place - 1):
        return _in_xml(name)
    strong = name["STRONG"] is not None
    if name["WEAK"]:
        if text.startswith("nexpected ", place - 10):  # of a parser
            return ()
        strong = QUALIFIED.search(text, max(0, place - 9), place) is not None
    near = text[: place + _NEAR]
    spans = _signed(near, name, strong) or _related(near, name, strong)
    goes_on = spans and (len(spans) > 1 or spans[-1].end > len(near) - _EDGE)
    if goes_on and len(near) < len(text):
        return _signed(text, name, strong) or _related(text, name, strong)
    return spans


def _begins(text: str, place: int) -> bool:
    """Not ``compass=``."""
    before = text[place - 1 : place] if place else ""
    if not before.isalpha() or (before.islower() and text[place].isupper()):
        return True
    return text[max(0, place - 9) : place].lower().endswith(WHOSE)


def _span(found: re.Match[str], kind: Kind = "secret") -> Span:
    group = found.lastgroup or ""
    return Span(*found.span(group), kind, found[group])


def _signed(text: str, name: re.Match[str], strong: bool) -> list[Span]:
    """``=`` and the like."""
    found = _SIGN.match(text, name.end())
    if found is None:
        return []
    first, between = _span(found), text[name.end() : found.start(found.lastgroup or 0)]
    spaced = found.lastgroup == "bare" and (between[-1].isspace() or between.endswith(" ("))
    if not _is_value(name, first.value, strong, spaced, between):
        return []
    spans = [first]
    opened = between.rstrip("\\\"'`“«bBuUrRNnfF$@")[-1:] in ("[", "(")
    while opened and len(spans) < _MOST:
        found = _MORE.match(text, spans[-1].end)
        if found is None:
            break
        spans.append(_span(found))
    if between.endswith(" ("):
        return [one for one in spans if is_telling(one.value)]
    return [one for one in spans if is_secret(one.value, strong=strong) and not is_prose(one.value)]


def _is_value(name: re.Match[str], value: str, strong: bool, spaced: bool, sign: str) -> bool:
    if name["S"]:  # tokens=17
        return is_secret(value, strong=False) if strong else is_telling(value, strong=False)
    if spaced:
        alone = name.string[max(0, name.start() - 1) : name.start()] != "_"
        if name["SHORT"] == "PASS" and ":" in sign and alone:  # of tests
            return False
        if value[0] in "([<{#-|" or sign.endswith(" ("):
            return is_telling(value)
        glued = sign.strip() == "=" and not sign[0].isspace()  # nothing stands behind it
        complaint = _COMPLAINT.search(name.string, max(0, name.start() - 12), name.start())
        if value.isalpha() and value.islower() and (glued or not strong or complaint):
            return False  # "token: expired"
    return not is_prose(value) and is_secret(value, strong=strong or name["APART"] is not None)


def _related(text: str, name: re.Match[str], strong: bool) -> list[Span]:
    """All other relations, by what follows the name."""
    match text[name.end() : name.end() + 1]:
        case "(" | "[" | "{":
            return _called(text, name, strong)
        case "<" | ">":
            return _in_xml(name)
        case '"' | "'" | "\\":
            return (
                _in_xml(name) or _paired(text, name) or _listed(text, name)
                or _in_row(name)
            )  # fmt: skip
        case "," | ")" | "`" | "]":
            return _paired(text, name) or _in_row(name)
        case "-" | "|" | "~" | "→" | ":" | "*":
            return _loose(text, name)
        case char if char.isspace():
            loose = text[name.end() : name.end() + 4].lstrip()[:1] in _LOOSE_SIGNS
            in_xml = "<" in text[max(0, name.start() - 40) : name.start()]
            return (
                (loose and _loose(text, name)) or (in_xml and _in_xml(name))
                or _paired(text, name) or _said(text, name, strong)
            )  # fmt: skip
    return []


def _called(text: str, name: re.Match[str], strong: bool) -> list[Span]:
    found = _CALL.match(text, name.end())
    if found is None:
        return []
    span = _span(found)
    if found.lastgroup == "bare":
        if name["WEAK"] and _ADDRESS.fullmatch(span.value):
            return []
        return [span] if is_telling(span.value, strong=strong or not name["WEAK"]) else []
    if strong:
        return [span] if is_secret(span.value) else []
    return [span] if is_telling(span.value) else []


def _loose(text: str, name: re.Match[str]) -> list[Span]:
    found = _LOOSE.match(text, name.end())
    return [_span(found)] if found and is_telling(_span(found).value) else []


def _in_xml(name: re.Match[str]) -> list[Span]:
    """To its end at once: no two read the same."""
    found = _XML.match(name.string, name.end())
    if found is None or is_prose(found["xml"]):
        return []
    return [_span(found)] if is_secret(found["xml"], strong=False) else []


def _paired(text: str, name: re.Match[str]) -> list[Span]:
    """``name: DB_LOGIN, value: x``, also the other way round, and parts of a form."""
    begin, end = max(0, name.start() - 100), name.end()
    before = text[begin : name.start()]
    if not (":" in before or "=" in before) or not _ATTRIBUTE.search(text, begin, name.start()):
        return []
    found = _FORM.match(text, end) or _PAIR.match(text, end)
    place = text.rfind("alue", max(0, begin - 200), name.start()) - 1
    if found is None and place > 0:
        found = _BEFORE.match(text, place, name.start())
    if found is None:
        return []
    span = _span(found)
    is_name = found.lastgroup == "bare" and _NEXT_NAME.match(span.value)
    return [span] if is_secret(span.value) and not is_name else []


def _listed(text: str, name: re.Match[str]) -> list[Span]:
    """``("password", "x")`` and ``"--password", "x"``."""
    found = _TUPLE.match(text, name.end())
    if found is None:
        return []
    span, begin = _span(found), max(0, name.start() - 64)
    if _OPTION.search(text, begin, name.start()):
        return [span] if is_secret(span.value) else []
    opened = _OPENED.search(text, begin, name.start())
    after = text[span.end : span.end + 6].lstrip("\\\"' ")[:1]
    closed = after in (")", "]", "}") or span.end == len(text)
    return [span] if opened and closed and is_telling(span.value) else []


def _in_row(name: re.Match[str]) -> list[Span]:
    """``INSERT INTO users (name, password) VALUES ('bob', 'x')``."""
    text = name.string
    found = _ROW.match(text, name.end())
    begin = text.rfind("(", max(0, name.start() - 400), name.start())
    if found is None or begin < 0:
        return []
    end = found.end()
    for _ in range(text.count(",", begin, name.start())):
        cell = _CELL.match(text, end)
        if cell is None or not text.startswith(",", cell.end()):
            return []
        end = cell.end() + 1
    cell = _CELL.match(text, end)
    if cell is None:
        return []
    value = cell[0].strip().removeprefix("N").strip("'\"")
    start = text.index(value, end)
    quoted = cell[0].rstrip()[-1:] in ("'", '"')
    taken = is_secret(value) if quoted else is_telling(value)
    return [Span(start, start + len(value), "secret", value)] if value and taken else []


def _said(text: str, name: re.Match[str], strong: bool) -> list[Span]:
    """In prose, and on command lines."""
    place = name.start()
    if "/" in text[text.rfind(" ", max(0, place - 80), place) + 1 : place]:  # /usr/bin/passwd bob
        return []
    found = _PROSE.match(text, name.end())
    if found:
        span, sure = _span(found), name["STRONG"] and found.lastgroup != "bare"
        if is_secret(span.value) if sure else is_telling(span.value):
            return [span]
    found = _SPACE.match(text, name.end())
    if found is None:
        return []
    span = _span(found)
    if _is_option(text, place) or name["STRONG"] in ("requirepass", "masterauth"):
        return [span] if is_secret(span.value) else []
    # Such as SQL's: PASSWORD 'x'. What a : follows is a name itself.
    if found.lastgroup != "bare" and name["STRONG"]:
        is_name = text[span.end + 1 :][:1] in (":", "=")
        return [span] if not is_name and is_secret(span.value) else []
    if name["WEAK"] in ("secret", "Secret") and not strong:
        if not any(map(str.isdigit, text[name.end() : span.start])):  # of Kubernetes: its name
            return []
        strong = True
    strong = strong or bool(name["APART"]) or name["SHORT"] not in (None, "pass", "Pass", "PASS")
    strong = strong or _is_judged(text, name, span)
    return [span] if is_telling(span.value, strong=strong) and not _is_id(span.value) else []


_COMPLAINT: Final = re.compile(r"(?i:valid|correct|wrong|bad|missing|ung.ltiges)\s\Z")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_JUDGED: Final = re.compile(
    r"[\"']?\s(?:is\s|was\s)?(?:rejected|invalid|not|denied|revoked|refused)\b"
)
_USED: Final = re.compile(r"(?i:using|invalid|bad|wrong|unknown)\s\Z")


def _is_judged(text: str, name: re.Match[str], span: Span) -> bool:
    """``token x rejected``, ``using token x``"""
    before = _USED.search(text, max(0, name.start() - 9), name.start())
    return bool(before or _JUDGED.match(text, span.end))


def _is_id(value: str) -> bool:
    return _UUID.match(value) is not None


def _is_option(text: str, place: int) -> bool:
    """``--db-password x``, but not ``the password x``."""
    begin = max(text.rfind(" ", max(0, place - 40), place) + 1, place - 40, 0)
    return text.startswith("-", begin)
