"""GitHub's webhooks as changes. Pure.

Source: https://docs.github.com/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

from typing import Final

from aiopsd.model import Change
from aiopsd.sources.changes_body import (
    Body,
    is_nothing,
    short,
    speaks_of_migration,
    told,
    version,
)

EVENTS: Final = ("deployment_status", "deployment", "workflow_run", "release", "push")
USUAL: Final = ("deployment_status",)
_BEGUN: Final = frozenset({"in_progress", "success", "failure", "error"})
_RAN: Final = frozenset({"", "success", "failure", "timed_out"})


def change_of(event: str, body: Body) -> Change | None:
    """None where nothing has changed (yet): it is queued, was skipped, or is of another branch."""
    match event:
        case "deployment":
            return _deployed(body, "requested")
        case "deployment_status":
            state = body.text("deployment_status.state")
            return _deployed(body, state) if state in _BEGUN else None
        case "workflow_run":
            return _ran(body)
        case "release":
            return _released(body)
        case "push":
            return _pushed(body)
    return None


def _deployed(body: Body, state: str) -> Change:
    """One change for each deployment, whatever its newest status."""
    repository, commit = body.text("repository.full_name"), body.text("deployment.sha")
    task = body.text("deployment.task")
    return Change(
        id=f"{repository}/deployments/{body.text('deployment.id')}",
        kind="deploy",
        time_s=body.time_s("deployment_status.created_at", "deployment.created_at"),
        service=body.text("deployment.payload.service") or repository,
        version=version(body.text("deployment.ref"), commit),
        author=body.text("deployment.creator.login", "sender.login"),
        migration=body.is_true("deployment.payload.migration")
        or speaks_of_migration(task, body.text("deployment.description")),
        labels=told(
            repository=repository,
            environment=body.text("deployment.environment"),
            commit=short(commit),
            state=state,
        ),
    )


def _ran(body: Body) -> Change | None:
    action, ended = body.text("action"), body.text("workflow_run.conclusion")
    if action not in ("in_progress", "completed") or ended not in _RAN:
        return None
    repository, commit = body.text("repository.full_name"), body.text("workflow_run.head_sha")
    workflow = body.text("workflow_run.name", "workflow.name")
    begun = ("workflow_run.run_started_at", "workflow_run.created_at")
    return Change(
        id=f"{repository}/runs/{body.text('workflow_run.id')}",
        kind="deploy",
        time_s=body.time_s(*(begun if action == "in_progress" else ("workflow_run.updated_at",))),
        service=repository,
        version=version(body.text("workflow_run.head_branch"), commit),
        author=body.text("workflow_run.actor.login", "sender.login"),
        migration=speaks_of_migration(workflow),
        labels=told(
            repository=repository, workflow=workflow, commit=short(commit), state=ended or action
        ),
    )


def _released(body: Body) -> Change | None:
    if body.text("action") != "published":
        return None
    repository, tag = body.text("repository.full_name"), body.text("release.tag_name")
    return Change(
        id=f"{repository}/releases/{tag}",
        kind="deploy",
        time_s=body.time_s("release.published_at"),
        service=repository,
        version=tag,
        author=body.text("release.author.login", "sender.login"),
        labels=told(repository=repository, title=body.text("release.name")),
    )


def _pushed(body: Body) -> Change | None:
    """To the branch that counts; the time of a commit says nothing of when it was pushed."""
    branch, commit = body.text("repository.default_branch"), body.text("after")
    if body.text("ref") != f"refs/heads/{branch}" or is_nothing(commit):
        return None
    repository = body.text("repository.full_name")
    return Change(
        id=f"{repository}/commits/{commit}",
        kind="deploy",
        time_s=body.time_s("repository.pushed_at"),
        service=repository,
        version=short(commit),
        previous=short(body.text("before")),
        author=body.text("pusher.name", "sender.login"),
        migration=body.migrates,
        labels=told(
            repository=repository, commit=short(commit), title=body.text("head_commit.message")
        ),
    )
