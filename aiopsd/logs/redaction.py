"""Takes secrets out of a line before anything is mined, kept, sent or shown.

Every pattern is linear: bounded repeats, no nesting.
"""

from __future__ import annotations

import re

_SECRETS = (
    # Authorization: Bearer xyz, also with = and quotes
    (re.compile(r"(?i)\b(bearer|basic|token)[ =:]+[\w\-.~+/=]{8,4096}"), r"\1 <secret>"),
    # password=..., "api_key": "..."
    (
        re.compile(
            r"(?i)(\b[\w-]{0,40}(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?key|token)"
            r"\"?\s{0,3}[=:]\s{0,3}\"?)[^\s\"',;&]{1,4096}"
        ),
        r"\1<secret>",
    ),
    (re.compile(r"\beyJ[\w-]{8,4096}\.[\w-]{8,4096}\.[\w-]{0,4096}"), "<secret>"),  # JWT
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), "<secret>"),  # AWS key id
    (re.compile(r"\b(?:xox[abpr]|gh[pousr]|glpat|sk)[-_][\w-]{10,512}"), "<secret>"),
    (re.compile(r"://[^\s/:@]{1,256}:[^\s/@]{1,256}@"), "://<secret>@"),
    (re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}\b"), "<email>"),
)


def redact(text: str) -> str:
    """The same line without what looks like a secret or an address of a person."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text
