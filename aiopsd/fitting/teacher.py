"""The daemon's side: starts the fitting process, and hands on what it finds as lessons."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress

import msgspec

from aiopsd.errors import MissingExtra, Unreachable
from aiopsd.fitting.job import Job, Word
from aiopsd.settings import installed

LINE_BYTES = 1 << 20
LAST_WORDS = 400  # characters of its complaints that go into the log
_ONE_THREAD = {f"{lib}_NUM_THREADS": "1" for lib in ("OMP", "OPENBLAS", "MKL")}


def require() -> None:
    """Raises MissingExtra. Looks only: here nobody pays for the import."""
    if not installed("history"):
        raise MissingExtra("warm_start", "history")


async def fitted(job: Job, timeout_secs: float) -> AsyncIterator[Word]:
    """Word by word. Raises Unreachable when the process breaks or takes longer than this.

    Whatever happens, the process is gone when the iteration is over.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "aiopsd.fitting.child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
        env=_environment(),
        start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
    complaints = asyncio.create_task(_last_words(process), name="fitting complaints")
    try:
        async with asyncio.timeout(timeout_secs):
            with suppress(ConnectionError):  # it has died: its complaints say why
                process.stdin.write(msgspec.json.encode(job))
                await process.stdin.drain()
                process.stdin.close()
            async for line in process.stdout:
                yield msgspec.json.decode(line, type=Word)
            code = await process.wait()
        if code:
            raise Unreachable(f"the fitting process ended with {code}: {await complaints}")
    except TimeoutError:
        raise Unreachable(f"not done after {timeout_secs:.0f} s") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise Unreachable(f"the fitting process said what nobody understands: {error}") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await complaints


def _environment() -> dict[str, str]:
    """What Python needs to start; secrets of the daemon's environment stay with it."""
    keep = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ", "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return {name: os.environ[name] for name in keep if name in os.environ} | _ONE_THREAD


async def _last_words(process: asyncio.subprocess.Process) -> str:
    """All of standard error is read, so that it never blocks; its end is kept."""
    assert process.stderr is not None  # noqa: S101
    text = b""
    while chunk := await process.stderr.read(4096):
        text = (text + chunk)[-LAST_WORDS:]
    return " ".join(text.decode(errors="replace").split())
