"""What Jenkins' Notification plugin posts, as changes. Pure.

Source: https://plugins.jenkins.io/notification/
"""

from __future__ import annotations

from typing import Final

from aiopsd.model import Change
from aiopsd.sources.changes_body import Body, short, speaks_of_migration, told, version

EVENTS: Final = ("started", "completed", "finalized")
"""Phases of a build."""
USUAL: Final = EVENTS
_NOTHING_DONE: Final = frozenset({"NOT_BUILT", "ABORTED"})


def change_of(event: str, body: Body) -> Change | None:
    """One change for each build, whatever its newest phase; its status is told with the later
    ones."""
    state, job = body.text("build.status"), body.text("name")
    if event != "started" and state in _NOTHING_DONE:
        return None
    said = ("VERSION", "version", "TAG", "tag", "IMAGE_TAG", "image_tag")
    commit = body.text("build.scm.commit")
    named = body.text(*(f"build.parameters.{name}" for name in said))
    return Change(
        id=f"{job}/{body.text('build.number')}",
        kind="deploy",
        time_s=body.time_s("build.timestamp"),
        service=body.text("build.parameters.SERVICE", "build.parameters.service") or job,
        version=named or version(body.text("build.scm.branch"), commit),
        author=body.text("build.scm.culprits.0"),
        migration=speaks_of_migration(job),
        labels=told(
            job=job,
            build=body.text("build.number"),
            repository=body.text("build.scm.url"),
            commit=short(commit),
            state=event if event == "started" else state.lower(),
        ),
    )
