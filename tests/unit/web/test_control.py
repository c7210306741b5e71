"""The control socket: one line each way, its owner's alone, and nobody can keep others out."""

import asyncio
import getpass
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aiopsd.cli.asking import ask
from aiopsd.errors import Refused, Unreachable
from aiopsd.web import control
from aiopsd.web.control import MOST_BYTES, NAME, Command, listening


async def echo(request: dict[str, Any], by: str) -> dict[str, Any]:
    return {"by": by, "said": request.get("word")}


async def no(request: dict[str, Any], by: str) -> None:
    raise Refused("because")


COMMANDS: dict[str, Command] = {"echo": echo, "no": no}


@asynccontextmanager
async def door(folder: Path, commands: dict[str, Command] = COMMANDS) -> AsyncIterator[Path]:
    """The configuration to ask with."""
    (folder / "state").mkdir(parents=True, exist_ok=True)
    config = folder / "aiopsd.yaml"
    config.write_text("sources: {}\n")
    async with listening(folder / "state", commands):
        yield config


async def raw(folder: Path, line: bytes) -> Any:
    reader, writer = await asyncio.open_unix_connection(str(folder / "state" / NAME))
    writer.write(line)
    if not line.endswith(b"\n"):
        writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return json.loads(answer)


async def test_who_asks_is_known_by_the_kernel(tmp_path: Path) -> None:
    async with door(tmp_path) as config:
        request = {"do": "echo", "word": "hé", "by": "somebody else"}
        answer = await asyncio.to_thread(ask, config, request)
        assert answer == {"by": getpass.getuser(), "said": "hé"}
        assert (tmp_path / "state" / NAME).stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "state" / NAME).exists()


async def test_a_refusal_comes_with_its_words(tmp_path: Path) -> None:
    async with door(tmp_path) as config:
        with pytest.raises(Refused, match="because"):
            await asyncio.to_thread(ask, config, {"do": "no"})
        with pytest.raises(Refused, match="knows no 'dance'; is it of this version"):
            await asyncio.to_thread(ask, config, {"do": "dance"})


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"nonsense\n", b"[1]\n", b"\xff\n", b'{"do": "echo"', b"x" * 2 * MOST_BYTES],
)
async def test_what_is_no_request_is_said_and_harms_nobody(tmp_path: Path, line: bytes) -> None:
    async with door(tmp_path):
        assert await raw(tmp_path, line) == {"refused": "that is no request"}
        assert await raw(tmp_path, b'{"do": "echo"}\n')


async def test_whoever_asks_nothing_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "ASK_SECS", 0.05)
    async with door(tmp_path):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "state" / NAME))
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()


async def test_too_many_at_once_are_sent_away_and_a_stop_waits_for_none(tmp_path: Path) -> None:
    begun = 0

    async def wait(request: dict[str, Any], by: str) -> None:
        nonlocal begun
        begun += 1
        await asyncio.Event().wait()

    async with door(tmp_path, {"wait": wait}):
        path = str(tmp_path / "state" / NAME)
        open_ = [await asyncio.open_unix_connection(path) for _ in range(control.MOST_AT_ONCE)]
        for _, writer in open_:
            writer.write(b'{"do": "wait"}\n')
        async with asyncio.timeout(30):
            while begun < control.MOST_AT_ONCE:
                await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_unix_connection(path)
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
    for _, writer in open_:
        writer.close()


async def test_a_state_folder_of_any_length_and_a_dead_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    (folder / "state").mkdir(parents=True)
    (folder / "state" / NAME).touch()
    async with door(folder) as config:
        answer = await asyncio.to_thread(ask, config, {"do": "echo", "word": 1})
        assert answer["said"] == 1


async def test_without_a_socket_the_daemon_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "state"
    (folder / NAME).mkdir(parents=True)
    async with listening(folder, COMMANDS):
        assert "cannot be asked" in caplog.text


def test_nobody_there_or_somebody_else(tmp_path: Path) -> None:
    config = tmp_path / "aiopsd.yaml"
    config.write_text("sources: {}\n")
    with pytest.raises(Unreachable, match=r"no daemon runs on .*state; is `aiopsd run` up\?"):
        ask(config, {"do": "echo"})
    (tmp_path / "state").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "state" / NAME))
        with pytest.raises(Unreachable, match="no daemon runs"):
            ask(config, {"do": "echo"})
