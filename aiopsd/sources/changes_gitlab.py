"""GitLab's webhooks as changes. Pure.

Source: https://docs.gitlab.com/user/project/integrations/webhook_events/
"""

from __future__ import annotations

from typing import Final

from aiopsd.model import Change
from aiopsd.sources.changes_body import Body, is_nothing, short, told, version

EVENTS: Final = ("deployment", "feature_flag", "pipeline", "release", "push", "tag_push")
USUAL: Final = ("deployment", "feature_flag")
_BEGUN: Final = frozenset({"running", "success", "failed"})
_PROJECT: Final = "project.path_with_namespace"


def change_of(event: str, body: Body) -> Change | None:
    """``event`` is its ``object_kind``. None where nothing has changed (yet)."""
    match event:
        case "deployment":
            return _deployed(body)
        case "pipeline":
            return _ran(body)
        case "feature_flag":
            return _switched(body)
        case "release":
            return _released(body)
        case "push" | "tag_push":
            return _pushed(body)
    return None


def _deployed(body: Body) -> Change | None:
    state, project = body.text("status"), body.text(_PROJECT)
    if state not in _BEGUN:
        return None
    return Change(
        id=f"{project}/deployments/{body.text('deployment_id')}",
        kind="deploy",
        time_s=body.time_s("status_changed_at"),
        service=project,
        version=version(body.text("ref"), body.text("short_sha")),
        author=body.text("user.username"),
        labels=told(
            repository=project,
            environment=body.text("environment"),
            commit=short(body.text("short_sha")),
            title=body.text("commit_title"),
            state=state,
        ),
    )


def _ran(body: Body) -> Change | None:
    state, project = body.text("object_attributes.status"), body.text(_PROJECT)
    if state not in _BEGUN:
        return None
    commit, ref = body.text("object_attributes.sha"), body.text("object_attributes.ref")
    return Change(
        id=f"{project}/pipelines/{body.text('object_attributes.id')}",
        kind="deploy",
        time_s=body.time_s("object_attributes.finished_at", "object_attributes.created_at"),
        service=project,
        version=version(ref, commit),
        author=body.text("user.username"),
        labels=told(
            repository=project,
            ref=ref,
            commit=short(commit),
            title=body.text("commit.message"),
            state=state,
        ),
    )


def _switched(body: Body) -> Change:
    """It has no time of its own: what was switched was switched now."""
    project, flag = body.text(_PROJECT), body.text("object_attributes.name")
    state = "on" if body.is_true("object_attributes.active") else "off"
    return Change(
        id=f"{project}/flags/{flag}/{state}/{int(body.now_s)}",
        kind="flag",
        time_s=body.now_s,
        service=project,
        version=state,
        previous="off" if state == "on" else "on",
        author=body.text("user.username"),
        labels=told(repository=project, flag=flag),
    )


def _released(body: Body) -> Change | None:
    if body.text("action") != "create":
        return None
    project, tag = body.text(_PROJECT), body.text("tag")
    return Change(
        id=f"{project}/releases/{tag}",
        kind="deploy",
        time_s=body.time_s("released_at", "created_at"),
        service=project,
        version=tag,
        labels=told(repository=project, commit=short(body.text("commit.id"))),
    )


def _pushed(body: Body) -> Change | None:
    """To the default branch, or a tag. When it was pushed is not said: now."""
    project, ref, commit = body.text(_PROJECT), body.text("ref"), body.text("after")
    is_tag = ref.startswith("refs/tags/")
    if is_nothing(commit) or (
        not is_tag and ref != f"refs/heads/{body.text('project.default_branch')}"
    ):
        return None
    return Change(
        id=f"{project}/{ref.removeprefix('refs/') if is_tag else f'commits/{commit}'}",
        kind="deploy",
        time_s=body.now_s,
        service=project,
        version=ref.removeprefix("refs/tags/") if is_tag else short(commit),
        previous="" if is_nothing(body.text("before")) else short(body.text("before")),
        author=body.text("user_username", "user_name"),
        migration=body.migrates,
        labels=told(repository=project, commit=short(commit)),
    )
