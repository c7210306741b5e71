"""Whatever else posts JSON: a mapping says where in it what stands. Pure."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Final

from aiopsd.model import Change, ChangeKind
from aiopsd.sources.changes_body import Body, shown, told

FIELDS: Final = (
    "kind", "service", "version", "previous", "author", "time", "id", "migration", "state",
    "repository", "environment", "commit", "title",
)  # fmt: skip
"""What a mapping may fill; what it leaves out stands under its own name. ``labels.NAME`` as well.
The last five are labels."""
KINDS: Final[frozenset[str]] = frozenset(typing.get_args(ChangeKind))
_LABELS: Final = FIELDS[-5:]
_MOST_LABELS: Final = 20


def change_of(body: Body, fields: Mapping[str, str]) -> Change | None:
    """None where it says of no kind that is one. A field ``=word`` is that word.

    Without an id, what says the same at another time is another change."""

    def said(field: str) -> str:
        path = fields.get(field, field)
        return shown(path[1:]) if path.startswith("=") else body.text(path)

    kind = said("kind") or "deploy"
    if kind not in KINDS:
        return None
    time_s = body.time_s(fields.get("time", "time"))
    service, version = said("service"), said("version")
    return Change(
        id=said("id") or f"{kind}/{service}/{version}/{int(time_s)}",
        kind=typing.cast("ChangeKind", kind),
        time_s=time_s,
        service=service,
        version=version,
        previous=said("previous"),
        author=said("author"),
        migration=said("migration").lower() in ("true", "yes", "1", "on"),
        labels=told(**{name: said(name) for name in _LABELS}) | _more(body, fields),
    )


def _more(body: Body, fields: Mapping[str, str]) -> dict[str, str]:
    """Labels of the mapping, and those that the body brings under ``labels``."""
    own = body.at("labels")
    labels = {shown(name): shown(value) for name, value in own.items()} if isinstance(
        own, dict
    ) else {}  # fmt: skip
    for field, path in fields.items():
        if field.startswith("labels."):
            name = field.removeprefix("labels.")
            labels[name] = shown(path[1:]) if path.startswith("=") else body.text(path)
    return dict(list(told(**labels).items())[:_MOST_LABELS])
