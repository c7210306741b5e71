"""The toy shop: five real processes that call one another under a steady load.

    web -> catalog -> orders
    web -> checkout -> orders
           checkout -> payments

``python -m aiopsd.demo.shop --dir DIR`` runs it by hand. In ``DIR``: ``shop.json`` (ports and pids,
for other processes), ``releases/`` (see ``releases``), ``run/*.pid`` and ``logs/*.log``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiopsd
from aiopsd.demo import release
from aiopsd.demo.faults import FAULTS
from aiopsd.demo.load import Load
from aiopsd.demo.logfmt import LogFile
from aiopsd.demo.releases import Release, Releases, write_atomically
from aiopsd.errors import AiopsdError, ConfigError, Unreachable

CALLS: dict[str, tuple[str, ...]] = {
    "web": ("catalog", "checkout"),
    "catalog": ("orders",),
    "checkout": ("orders", "payments"),
    "orders": (),
    "payments": (),
}
"""Who calls whom: caller -> callees."""

VERSIONS: dict[str, tuple[str, str]] = {
    "web": ("v3.7", "v3.8"),
    "catalog": ("v2.12", "v2.13"),
    "checkout": ("v5.3", "v5.4"),
    "orders": ("v4.20", "v4.21"),
    "payments": ("v1.41", "v1.42"),
}
"""What runs at first, and the release after it: good, unless a fault is asked for."""

START_SECS = 20.0
BACK_OFF_SECS = 0.5
END_SECS = 3.0


class Shop:
    """``async with Shop(folder, faults={"payments": "errors"}) as shop`` runs the five processes.

    ``faults`` says which service's next release is bad, and how; ``release`` deploys it. Inside,
    every service answers and customers come; a process that exits is started again. All of them
    end with the block, and also when this process is killed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        faults: Mapping[str, str] | None = None,
        seed: int = 0,
        requests_per_sec: float = 20.0,
    ) -> None:
        for name, fault in (faults or {}).items():
            if name not in CALLS or fault not in FAULTS:
                raise ConfigError(f"the shop knows no fault {fault!r} of service {name!r}")
        self.folder = folder.resolve()
        self.releases = Releases(self.folder / "releases")
        self.log_paths = {name: self.folder / "logs" / f"{name}.log" for name in CALLS}
        self.targets: dict[str, str] = {}
        self.load: Load
        self._faults, self._seed, self._rate = dict(faults or {}), seed, requests_per_sec
        self._ports: dict[str, int] = {}
        self._pids: dict[str, int | None] = dict.fromkeys(CALLS)
        self._open = self._run()

    async def __aenter__(self) -> Self:
        await self._open.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self._open.__aexit__(kind, error, trace)

    async def release(self, service: str, version: str) -> None:
        """Deploys as the tool does: returns when that version answers; errors as ``deploy``."""
        await asyncio.to_thread(release.deploy, self.folder, service, version)

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        self._lay_out()
        async with AsyncExitStack() as ending:
            self._ports = {name: _reserve_port(ending) for name in CALLS}
            self.targets = {name: f"http://127.0.0.1:{port}" for name, port in self._ports.items()}
            ending.callback((self.folder / "shop.json").unlink, missing_ok=True)
            for name in reversed(CALLS):  # customers end first, then callers, then callees
                _begin(self._keep_running(name), name, ending)
            await self._answering()
            self.load = Load(f"{self.targets['web']}/work", self._rate, self._seed)
            _begin(self.load.run(), "load", ending)
            yield

    def _lay_out(self) -> None:
        (self.folder / "run").mkdir(parents=True, exist_ok=True)
        self._log = LogFile(self.folder / "logs" / "supervisor.log", "supervisor")
        for name, (first, following) in VERSIONS.items():
            self.releases.add(name, "v1", Release(first, None, "mara@shop.example"))
            bad = Release(following, self._faults.get(name), "jon@shop.example")
            self.releases.add(name, "v2", bad)
            self.releases.make_current(name, first, time.time())

    async def _keep_running(self, service: str) -> None:
        """Starts the process, and again whenever it exits, as a container runtime does."""
        while True:
            process = await self._start(service)
            try:
                code = await process.wait()
            finally:
                await _end(process)
                self._note_pid(service, None)
            self._log.write("warn", "process exited", process=service, code=code)
            await asyncio.sleep(0 if code == 0 else BACK_OFF_SECS)  # 0: it was asked to go

    async def _start(self, service: str) -> Process:
        folder, calls = self.folder, [f"{name}={self.targets[name]}" for name in CALLS[service]]
        argv = ["--name", service, "--port", str(self._ports[service]), "--calls", *calls]
        argv += ["--releases", str(folder / "releases"), "--log", str(self.log_paths[service])]
        argv += ["--seed", str(self._seed), "--parent", str(os.getpid())]
        with (folder / "logs" / f"{service}.stderr").open("a") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "aiopsd.demo.service", *argv),
                cwd=Path(aiopsd.__file__).parents[1],  # the same code that runs here
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=stderr,
                process_group=0,  # Ctrl-C is for us; we end them in order
            )
        self._note_pid(service, process.pid)
        return process

    def _note_pid(self, service: str, pid: int | None) -> None:
        self._pids[service] = pid
        path = self.folder / "run" / f"{service}.pid"
        if pid is None:
            path.unlink(missing_ok=True)
        else:
            write_atomically(path, str(pid))
        services = {
            name: {"port": port, "pid": self._pids[name], "calls": CALLS[name]}
            for name, port in self._ports.items()
        }
        notes = {"supervisor": os.getpid(), "services": services}
        write_atomically(self.folder / "shop.json", json.dumps(notes, indent=1))

    async def _answering(self) -> None:
        deadline = time.monotonic() + START_SECS
        silent = set(CALLS)
        while silent:
            for name in sorted(silent):
                if await asyncio.to_thread(release.ask, self._ports[name]):
                    silent.discard(name)
            if time.monotonic() > deadline:
                where = self.folder / "logs"
                raise Unreachable(f"{', '.join(sorted(silent))} did not start; see {where}")
            await asyncio.sleep(0.05)


def _reserve_port(reserved: AsyncExitStack) -> int:
    """A free port that stays ours while its service is down.

    Bound but not listening: callers are refused, as with a dead service, and the kernel gives the
    port to nobody else; SO_REUSEADDR on both sides lets the service listen on it.
    """
    holder = reserved.enter_context(socket.socket())
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return int(holder.getsockname()[1])


def _begin(work: Coroutine[Any, Any, None], name: str, ending: AsyncExitStack) -> None:
    """A named task that ends with the shop; what it may have died of is raised then.

    Not a TaskGroup: that would wrap whatever is raised inside the shop's block in a group.
    """
    task = asyncio.create_task(work, name=name)

    async def finish() -> None:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    ending.push_async_callback(finish)


async def _end(process: Process) -> None:
    """Asks the process to stop, then makes it."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), END_SECS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def run(options: argparse.Namespace) -> None:
    faults = {options.service: options.fault} if options.fault else {}
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Shop(options.dir, faults=faults, seed=options.seed) as shop:
        for name, target in shop.targets.items():
            print(f"{name:10} {target}/metrics   {shop.log_paths[name]}", flush=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), options.seconds)
        print(f"customers got {dict(shop.load.answers)}")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m aiopsd.demo.shop", description=__doc__)
    parser.add_argument("--dir", required=True, type=Path)
    parser.add_argument("--seconds", type=float, help="how long; without it until Ctrl-C")
    parser.add_argument("--fault", choices=[name for name in FAULTS if name])
    parser.add_argument("--service", choices=list(CALLS), default="payments")
    parser.add_argument("--seed", type=int, default=0)
    try:
        asyncio.run(run(parser.parse_args(argv)))
    except AiopsdError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
