"""``command.run``: a program by its argv. No shell, a clean environment, its own process group.

Inputs: ``argv``; optional ``stdin``, ``cwd``, and the author's own words for the rest of the
contract: ``before_argv`` (its output is the before-image), ``probe_argv`` (exit 0: it happened,
1: it did not, else: unknown) and ``undo_argv``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from aiopsd.contracts import Action
from aiopsd.errors import Refused, Unreachable
from aiopsd.settings import Settings

MAX_OUTPUT_BYTES = 64 * 1024
KILL_AFTER_SECS = 5.0
ARGVS = ("argv", "before_argv", "probe_argv", "undo_argv")
KNOWN = (*ARGVS, "stdin", "cwd")


class CommandSettings(Settings, frozen=True, kw_only=True, tag="command"):
    """Which environment variables a program inherits, and which programs may run at all."""

    env: tuple[str, ...] = ("PATH", "HOME", "LANG", "TZ")
    allow: tuple[str, ...] = ()  # program names; empty allows what playbooks name

    def build(self, base: Path) -> CommandExecutor:
        return CommandExecutor(self, base)


class CommandExecutor:
    """Runs programs relative to the folder of the configuration."""

    actions = frozenset({"run"})

    def __init__(self, settings: CommandSettings, base: Path) -> None:
        self._settings = settings
        self._base = base

    def lint(self, verb: str, inputs: Mapping[str, Any]) -> Sequence[str]:  # noqa: ARG002
        wrong = [f"unknown input {key!r}; known: {', '.join(KNOWN)}"
                 for key in inputs if key not in KNOWN]  # fmt: skip
        if "argv" not in inputs:
            wrong.append("`argv` is missing: a list such as [/usr/bin/systemctl, status]")
        for key in ARGVS:
            if key in inputs:
                wrong += [f"`{key}`: {text}" for text in self._lint_argv(inputs[key])]
        return wrong

    def _lint_argv(self, argv: Any) -> list[str]:
        if not isinstance(argv, list) or not argv:
            return ["must be a list of words, never one string: there is no shell"]
        program, allow = argv[0], self._settings.allow
        if not isinstance(program, str) or "${" in program:
            return ["the program must be written out, not computed"]
        if allow and program not in allow:
            return [f"{program} is not among the allowed programs: {', '.join(allow)}"]
        return []

    async def plan(self, action: Action) -> dict[str, Any]:
        return {"argv": _words(action.inputs["argv"])}

    async def before(self, action: Action) -> dict[str, Any]:
        if "before_argv" not in action.inputs:
            return {}
        return await self._checked(action, "before_argv")

    async def apply(self, action: Action) -> dict[str, Any]:
        return await self._checked(action, "argv")

    async def probe(self, action: Action, before: Mapping[str, Any]) -> bool | None:  # noqa: ARG002
        if "probe_argv" not in action.inputs:
            return None
        if not await _finished(action):
            return None
        result = await self._run(action, "probe_argv")
        return {0: True, 1: False}.get(result["exit_code"])

    async def undo(self, action: Action, before: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        if "undo_argv" not in action.inputs:
            raise Refused("this command says no `undo_argv`: it has no way back")
        return await self._checked(action, "undo_argv")

    async def _checked(self, action: Action, key: str) -> dict[str, Any]:
        result = await self._run(action, key)
        if result["exit_code"] != 0:
            # Whole: what is cut before secrets are taken out may keep a part of one.
            said = (result["stderr"] or result["stdout"]).strip()
            raise Refused(f"exit code {result['exit_code']}: {said}")
        return result

    async def _run(self, action: Action, key: str) -> dict[str, Any]:
        argv, stdin = _words(action.inputs[key]), _bytes(action.inputs.get("stdin", ""))
        cwd = self._base / str(action.inputs.get("cwd", "."))
        # A relative program is found from the folder of the configuration, as people wrote it.
        program = str(cwd / argv[0]) if argv[0].startswith((".", "/")) else argv[0]
        env = {name: os.environ[name] for name in self._settings.env if name in os.environ}
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                program,
                *argv[1:],
                cwd=cwd,
                env=env | {"AIOPSD_KEY": action.key},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        )
        try:
            process = await _started(starting)
        except (OSError, ValueError) as error:
            raise Refused(f"{argv[0]} cannot be started: {error}") from None
        try:
            out, err = await _talk(process, stdin)
        finally:
            await _end(process)
        return _result(process.returncode, out, err)


async def _started(
    starting: asyncio.Future[asyncio.subprocess.Process],
) -> asyncio.subprocess.Process:
    """The process. It may run before we hear of it: who is cancelled by then ends its whole group,
    where asyncio alone would kill the program and wait for what it left behind."""
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError, ValueError):
            await _end(await starting)
        raise


async def _finished(action: Action) -> bool:
    """Whether what an earlier life of ours began has ended; waits for it, within the timeout.

    A command outlives a daemon that was killed: before it ends, a probe's "no" means nothing.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + 0.8 * action.timeout_secs
    while alive := await asyncio.to_thread(_alive, action.key):
        if loop.time() > until:
            return False
        await asyncio.sleep(0.2)
    return not alive


def _alive(key: str) -> bool:
    """Whether a process of this user carries the step's key in its environment (proc(5))."""
    word = f"AIOPSD_KEY={key}".encode()
    for place in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if word in place.read_bytes().split(b"\0"):
                return True
    return False


async def _talk(process: asyncio.subprocess.Process, stdin: bytes) -> tuple[bytes, bytes]:
    """Feeds stdin and reads both outputs, keeping only their ends."""
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise Unreachable("the program's pipes are gone")
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(stdin)
        await process.stdin.drain()
    process.stdin.close()
    out, err = await asyncio.gather(_tail(process.stdout), _tail(process.stderr))
    await process.wait()
    return out, err


async def _tail(stream: asyncio.StreamReader) -> bytes:
    """The end of an output, in whole lines: a cut line could hold a part of a secret."""
    kept, cut = b"", False
    while chunk := await stream.read(65536):
        kept += chunk
        cut = cut or len(kept) > MAX_OUTPUT_BYTES
        kept = kept[-MAX_OUTPUT_BYTES:]
    return kept.partition(b"\n")[2] if cut else kept


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends the whole process group, politely first; nothing it started stays behind."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), KILL_AFTER_SECS)
            return


def _result(code: int | None, out: bytes, err: bytes) -> dict[str, Any]:
    text = out.decode(errors="replace")
    result: dict[str, Any] = {
        "exit_code": code,
        "stdout": text,
        "stderr": err.decode(errors="replace"),
    }
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        result["json"] = msgspec.json.decode(text)
    return result


def _words(argv: Any) -> list[str]:
    if not isinstance(argv, list) or not argv:
        raise Refused("argv must be a list of words")
    for word in argv:
        if not isinstance(word, (str, int, float)) or isinstance(word, bool):
            raise Refused(f"argv: {word!r} is not a word")
        if isinstance(word, str) and "\x00" in word:
            raise Refused("argv: a word holds a NUL byte")
    try:
        return [str(word) for word in argv]
    except ValueError as error:  # a number of thousands of digits
        raise Refused(f"argv: {error}") from None


def _bytes(stdin: Any) -> bytes:
    try:
        return str(stdin).encode()
    except ValueError as error:
        raise Refused(f"stdin: {error}") from None
