"""Programs by argv: no shell, a clean environment, and nothing left behind."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aiopsd.contracts import Action
from aiopsd.errors import Refused
from aiopsd.executors.command import CommandExecutor, CommandSettings

KEY = f"run-{os.getpid()}/step/1"  # a probe looks for it among all processes of this machine


def executor(base: Path, **settings: Any) -> CommandExecutor:
    return CommandSettings(**settings).build(base)


def action(inputs: Mapping[str, Any]) -> Action:
    return Action("command.run", inputs, timeout_secs=10, key=KEY)


async def test_output_exit_code_and_json(tmp_path: Path) -> None:
    result = await executor(tmp_path).apply(action({"argv": ["echo", '{"version": "v2"}']}))
    assert result["exit_code"] == 0
    assert result["json"] == {"version": "v2"}


async def test_a_failure_says_what_the_program_said(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="exit code 3: no such release"):
        await executor(tmp_path).apply(
            action({"argv": ["sh", "-c", "echo no such release >&2; exit 3"]})
        )


async def test_json_nested_too_deep_is_text(tmp_path: Path) -> None:
    result = await executor(tmp_path).apply(action({"argv": ["echo", "[" * 5_000 + "]" * 5_000]}))
    assert result["stdout"].startswith("[[[")
    assert "json" not in result


async def test_there_is_no_shell(tmp_path: Path) -> None:
    result = await executor(tmp_path).apply(action({"argv": ["echo", "$(touch x); touch y"]}))
    assert result["stdout"].strip() == "$(touch x); touch y"
    assert list(tmp_path.iterdir()) == []


async def test_only_allowed_environment_goes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_TOKEN", "xoxb-secret")
    monkeypatch.setenv("COLOUR", "blue")
    result = await executor(tmp_path, env=("PATH", "COLOUR")).apply(action({"argv": ["env"]}))
    names = {line.split("=")[0] for line in result["stdout"].splitlines()}
    assert {"PATH", "COLOUR", "AIOPSD_KEY"} <= names
    assert "SLACK_TOKEN" not in names


async def test_stdin_and_a_program_beside_the_configuration(tmp_path: Path) -> None:
    script = tmp_path / "tool"
    script.write_text('#!/bin/sh\nread word; echo "got $word in $(pwd)"\n')
    script.chmod(0o755)
    result = await executor(tmp_path).apply(action({"argv": ["./tool"], "stdin": "hello\n"}))
    assert result["stdout"].strip() == f"got hello in {tmp_path}"


async def test_being_cancelled_ends_the_whole_process_group(tmp_path: Path) -> None:
    inputs = {"argv": ["sh", "-c", "sleep 300 & echo $! > child; wait"]}
    task = asyncio.create_task(executor(tmp_path).apply(action(inputs)))
    child = tmp_path / "child"
    async with asyncio.timeout(10):
        while not child.exists() or not child.read_text().strip():
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _gone(int(child.read_text()))


async def test_a_background_child_does_not_outlive_the_program(tmp_path: Path) -> None:
    script = "sleep 300 >/dev/null 2>&1 & echo $!"
    result = await executor(tmp_path).apply(action({"argv": ["sh", "-c", script]}))
    await _gone(int(result["stdout"]))


async def _gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while _alive(pid):
            await asyncio.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False


async def test_endless_output_is_bounded(tmp_path: Path) -> None:
    result = await executor(tmp_path).apply(
        action({"argv": ["sh", "-c", "yes | head -c 3000000; echo the end"]})
    )
    assert len(result["stdout"]) <= 64 * 1024
    assert result["stdout"].endswith("the end\n")


async def test_probe_undo_and_before_are_the_authors_words(tmp_path: Path) -> None:
    one = executor(tmp_path)
    inputs = {
        "argv": ["true"],
        "before_argv": ["echo", '{"was": 1}'],
        "probe_argv": ["test", "-e", "done"],
        "undo_argv": ["touch", "undone"],
    }
    assert (await one.before(action(inputs)))["json"] == {"was": 1}
    assert await one.probe(action(inputs), {}) is False
    (tmp_path / "done").touch()
    assert await one.probe(action(inputs), {}) is True
    assert await one.probe(action({"argv": ["true"], "probe_argv": ["false", "x"]}), {}) is False
    assert await one.probe(action({"argv": ["true"], "probe_argv": ["ls", "/none"]}), {}) is None
    assert await one.probe(action({"argv": ["true"]}), {}) is None
    await one.undo(action(inputs), {})
    assert (tmp_path / "undone").exists()
    with pytest.raises(Refused, match="no way back"):
        await one.undo(action({"argv": ["true"]}), {})


@pytest.mark.parametrize("argv", [[], "ls -l", [None], [["a"]], ["echo", "a\x00b"], [True]])
async def test_wrong_argv_is_refused(tmp_path: Path, argv: Any) -> None:
    with pytest.raises(Refused, match="argv"):
        await executor(tmp_path).apply(action({"argv": argv}))


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be started"):
        await executor(tmp_path).apply(action({"argv": ["/no/such/program"]}))


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "`argv` is missing"),
        ({"argv": "rm -rf /"}, "there is no shell"),
        ({"argv": ["${root.service}"]}, "must be written out"),
        ({"argv": ["ls"], "shell": True}, "unknown input 'shell'"),
        ({"argv": ["ls"], "probe_argv": []}, "`probe_argv`"),
    ],
)
def test_lint(tmp_path: Path, inputs: dict[str, Any], said: str) -> None:
    assert any(said in text for text in executor(tmp_path).lint("run", inputs))
    assert executor(tmp_path).lint("run", {"argv": ["ls", "${root.service}"]}) == []


def test_lint_knows_the_allowed_programs(tmp_path: Path) -> None:
    one = executor(tmp_path, allow=("./release",))
    assert one.lint("run", {"argv": ["./release"]}) == []
    assert "not among the allowed" in one.lint("run", {"argv": ["rm"]})[0]


async def test_a_cut_output_holds_whole_lines_only(tmp_path: Path) -> None:
    """A part of a secret would not be known as one, so it would not be taken out."""
    script = "echo the-secret-word-$(head -c 65530 /dev/zero | tr '\\0' x); echo end"
    result = await executor(tmp_path).apply(action({"argv": ["sh", "-c", script]}))
    assert result["stdout"] == "end\n"


async def test_a_failure_is_told_whole(tmp_path: Path) -> None:
    script = "printf '%s' secret-$(head -c 400 /dev/zero | tr '\\0' x) >&2; exit 1"
    with pytest.raises(Refused, match=r"exit code 1: secret-x{400}"):
        await executor(tmp_path).apply(action({"argv": ["sh", "-c", script]}))


async def test_a_probe_waits_for_what_an_earlier_life_began(tmp_path: Path) -> None:
    """Until the command has ended, "not yet" must not be taken for "no"."""
    left_over = await asyncio.create_subprocess_exec(
        *("sh", "-c", "sleep 1.5; touch done"),
        cwd=tmp_path,
        env={**os.environ, "AIOPSD_KEY": KEY},
    )
    inputs = {"argv": ["touch", "done"], "probe_argv": ["test", "-e", "done"]}
    assert await executor(tmp_path).probe(action(inputs), {}) is True
    await left_over.wait()


async def test_a_command_that_never_ends_leaves_a_probe_without_an_answer(tmp_path: Path) -> None:
    left_over = await asyncio.create_subprocess_exec(
        "sleep", "60", env={**os.environ, "AIOPSD_KEY": KEY}
    )
    inputs = {"argv": ["true"], "probe_argv": ["true"]}
    quick = Action("command.run", inputs, timeout_secs=1, key=KEY)
    assert await executor(tmp_path).probe(quick, {}) is None
    left_over.kill()
    await left_over.wait()


@pytest.mark.parametrize(
    "inputs", [{"argv": ["echo", 10**5000]}, {"argv": ["cat"], "stdin": "\ud800"}]
)
async def test_what_cannot_be_passed_is_refused(tmp_path: Path, inputs: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        await executor(tmp_path).apply(action(inputs))
