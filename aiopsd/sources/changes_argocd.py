"""Argo CD's notifications as changes: the body that docs/changes.md gives as a template. Pure.

Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/notifications/services/webhook/
"""

from __future__ import annotations

from typing import Final

from aiopsd.model import Change
from aiopsd.sources.changes_body import Body, short, told, version

EVENTS: Final = ("running", "succeeded", "failed", "error")
"""Phases of a sync."""
USUAL: Final = EVENTS


def change_of(event: str, body: Body) -> Change:
    """One change for each sync of an application, whatever its newest phase."""
    application, begun = body.text("application"), body.text("started_at")
    revision, previous = body.text("revision", "wanted"), body.text("previous")
    if previous == revision:  # its history knows this sync by now
        previous = ""
    images = body.at("images")
    names = [one for one in images if isinstance(one, str)] if isinstance(images, list) else []
    return Change(
        id=f"{application}/{begun or revision}",
        kind="deploy",
        time_s=body.time_s("started_at", "finished_at"),
        service=application,
        version=version(revision, revision),
        previous=version(previous, previous),
        author=body.text("author"),
        labels=told(
            repository=body.text("repository"),
            namespace=body.text("namespace"),
            commit=short(revision),
            image=Body(names, body.now_s).text("0") if len(names) == 1 else "",
            state=event,
        ),
    )
