"""A file becomes a playbook, or a list of everything that is wrong with it.

Two readings: by the types of ``schema``, then by meaning: every expression is compiled and
its paths are checked, every action is shown to its executor, every promise is looked at.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiopsd.contracts import Executor
from aiopsd.document import Document, Path_
from aiopsd.remediation import expressions
from aiopsd.remediation.expressions import ExpressionError
from aiopsd.remediation.schema import Call, Check, Measure, Playbook, Step, not_yet
from aiopsd.remediation.scope import Scope, complaints
from aiopsd.settings import Reader

__all__ = ["Playbook", "load_playbook"]

MATCH = frozenset({"incident", "root", "change", "params", "now_s"})
GUARD = MATCH | {"metric", "target"}
STEP = GUARD | {"run", "steps"}
VERIFY = MATCH | {"run", "steps", "target"}
JUDGE = VERIFY | {"value", "baseline"}
BLIND = ("command.run", "http.request", "mqtt.request")  # cannot tell by themselves


def load_playbook(
    document: Document,
    actions: Mapping[str, Executor] | None,
    *,
    rules: Collection[str] | None = None,
) -> Playbook | None:
    """The playbook, or None after complaints into the document's problems.

    ``actions``: executors by the first word of their actions (``systemd`` for
    ``systemd.restart``); ``rules``: known rule ids. None leaves them unchecked.
    """
    before = len(document.problems)
    if document.data is None:
        if not document.problems:
            document.complain((), "the file is empty")
        return None
    playbook: Playbook | None = Reader(document).read(Playbook, _of_today(document))
    if playbook is not None:
        _Linter(document, playbook, actions, rules).lint()
    return playbook if len(document.problems) == before else None


def _of_today(document: Document) -> Any:
    """The data without what this version does not know; each of those is a complaint."""
    data = copy.deepcopy(document.data)
    if not isinstance(data, dict):
        return data
    for path, sentence in list(not_yet(data)):
        document.complain(path, sentence)
        *parents, key = (part for part in path if part != "=")
        holder = data
        for part in parents:
            holder = holder[part]
        if key == "mode":
            holder[key] = "observe"
        elif key == "then":
            holder[key] = "notify"
        elif key != "do":
            del holder[key]
    return data


@dataclass
class _Linter:
    document: Document
    playbook: Playbook
    actions: Mapping[str, Executor] | None
    rules: Collection[str] | None

    def lint(self) -> None:
        playbook = self.playbook
        self._scope = Scope(
            "",
            frozenset(),
            params={name: param.python_type for name, param in playbook.params.items()},
            metrics=tuple(playbook.metrics),
            secrets=frozenset(n for n, p in playbook.params.items() if p.type == "secret"),
        )
        match = self._at("`on` and `target`", MATCH)
        for index, trigger in enumerate(playbook.on):
            self._condition(trigger.when, ("on", index, "when", "="), match)
        self._template(playbook.target.kind, ("target", "kind", "="), match)
        self._template(playbook.target.id, ("target", "id", "="), match)
        for name in playbook.metrics:
            self._measure(playbook.measure(name), ("metrics", name), match)
        guard = self._at("`guard.require`", GUARD, target_state=True)
        for index, require in enumerate(playbook.guard.require):
            self._condition(require, ("guard", "require", index), guard)
        self._steps()
        self._verify()
        self._promises()

    def _at(self, place: str, roots: frozenset[str], **more: Any) -> Scope:
        return replace(self._scope, place=place, roots=roots, **more)

    # --- steps --------------------------------------------------------------------------

    def _steps(self) -> None:
        seen: list[str] = []
        for index, step in enumerate(self.playbook.steps):
            path: Path_ = ("steps", index)
            if step.id in seen:
                self.document.complain((*path, "id", "="), f"step {step.id!r} stands here twice")
            earlier = tuple(seen)
            seen.append(step.id)
            here = self._at("a step", STEP, steps=earlier)
            after = self._at("a step", STEP, steps=tuple(seen))
            self._condition(step.if_, (*path, "if", "="), here)
            self._inputs(step.with_, (*path, "with"), here)
            self._condition(step.probe, (*path, "probe", "="), replace(after, target_state=True))
            self._action(step.do, step.with_, path)
            if isinstance(step.undo, Call):
                self._inputs(step.undo.with_, (*path, "undo", "with"), after)
                self._action(step.undo.do, step.undo.with_, (*path, "undo"))
            self._retry(step, path)

    def _inputs(self, inputs: Mapping[str, Any], path: Path_, scope: Scope) -> None:
        """Secrets may go into inputs, but never into an argv: every user can read those."""
        for name, given in inputs.items():
            public = name.endswith("argv")
            here = scope if public else replace(scope, secrets=frozenset())
            leaf = (*path, name, "=") if isinstance(given, str) else (*path, name)
            self._template(given, leaf, here)

    def _action(self, name: str, inputs: Mapping[str, Any], path: Path_) -> None:
        if self.actions is None:
            return
        room, _, verb = name.partition(".")
        known = sorted(f"{r}.{v}" for r, one in self.actions.items() for v in one.actions)
        if name in ("approve", "wait", "notify"):
            return  # already named as not available
        if name not in known:
            close = difflib.get_close_matches(name, known, 1, 0.6)
            meant = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
            self.document.complain((*path, "do", "="), f"unknown action {name!r}; {meant}")
            return
        for complaint in self.actions[room].lint(verb, inputs):
            self.document.complain((*path, "with"), f"{name}: {complaint}")

    def _retry(self, step: Step, path: Path_) -> None:
        """What may have happened is never done again, unless something can tell it did not."""
        blind = step.do in BLIND and not {"probe", "probe_argv"} & set(step.with_)
        if step.retry is not None and "timeout" in step.retry.on and blind and not step.probe:
            self.document.complain(
                (*path, "retry"),
                f"{step.do} may have happened when it times out; a retry on timeout needs a "
                "`probe` that tells whether it did",
            )

    # --- verify and promises ------------------------------------------------------------

    def _verify(self) -> None:
        scope = self._at("`verify`", VERIFY, steps=tuple(s.id for s in self.playbook.steps))
        rooms: tuple[tuple[str, tuple[Check, ...]], ...] = (
            ("checks", self.playbook.verify.checks),
            ("must_not_worsen", self.playbook.verify.must_not_worsen),
        )
        for room, checks in rooms:
            for index, check in enumerate(checks):
                path = ("verify", room, index)
                self._measure(check, path, scope)
                self._condition(check.expect, (*path, "expect", "="), replace(scope, roots=JUDGE))

    def _measure(self, measure: Measure, path: Path_, scope: Scope) -> None:
        if measure.promql is not None:
            where = path if "promql" not in self._given(path) else (*path, "promql", "=")
            self._template(measure.promql, where, scope)
        self._template(measure.where, (*path, "where"), scope)
        if measure.rule is not None and self.rules is not None and measure.rule not in self.rules:
            close = difflib.get_close_matches(measure.rule, list(self.rules), 1, 0.6)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            self.document.complain((*path, "rule", "="), f"no rule {measure.rule!r}{meant}")

    def _promises(self) -> None:
        """What is written but could never come true."""
        playbook = self.playbook
        rollback = playbook.on_failure.rollback
        if rollback != "never" and all(s.undo == "none" for s in playbook.steps):
            self.document.complain(
                ("on_failure", "rollback", "="),
                f"`rollback: {rollback}`, but no step can be undone; "
                "give a step `undo: auto`, or write `rollback: never`",
            )
        for index, step in enumerate(playbook.steps):
            if step.timeout > playbook.timeout:
                self.document.complain(
                    ("steps", index, "timeout", "="),
                    f"{step.timeout} is longer than the whole run may take ({playbook.timeout})",
                )

    # --- expressions --------------------------------------------------------------------

    def _condition(self, text: str | None, path: Path_, scope: Scope) -> None:
        if text is not None:
            self._expression(text, path, scope, condition=True)

    def _template(self, template: Any, path: Path_, scope: Scope) -> None:
        for place, text in _texts(template, path):
            try:
                parts = expressions.pieces(text)
            except ExpressionError as error:
                self.document.complain(place, str(error), offset=(error.column or 1) - 1)
                continue
            for part in parts:
                if part.expression:
                    self._expression(part.text, place, scope, condition=False, offset=part.column)

    def _expression(
        self, text: str, path: Path_, scope: Scope, *, condition: bool, offset: int = 1
    ) -> None:
        shown = " ".join(text.split())
        shown = shown if len(shown) < 60 else shown[:57] + "..."
        for sentence, column in complaints(text, scope, condition=condition):
            where = f"{sentence} (in `{shown}`)"
            self.document.complain(path, where, offset=offset + column - 2)

    def _given(self, path: Path_) -> Collection[str]:
        found = self.document.data
        for part in path:
            found = found[part]
        return found if isinstance(found, dict) else ()


def _texts(template: Any, path: Path_) -> Iterator[tuple[Path_, str]]:
    """Every text in a template, and where it stands."""
    if isinstance(template, str):
        yield path, template
    elif isinstance(template, Mapping):
        for key, entry in template.items():
            leaf = (*path, key, "=") if isinstance(entry, str) else (*path, key)
            yield from _texts(entry, leaf)
    elif isinstance(template, (list, tuple)):
        for index, entry in enumerate(template):
            yield from _texts(entry, (*path, index))
