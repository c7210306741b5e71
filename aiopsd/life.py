"""The daemon's life: one at a time, from start to signal; reload takes the path of a restart.

Stop in order, build again, go on from the journal: one path for both cannot drift apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from aiopsd import notify_socket
from aiopsd.app import House
from aiopsd.config import Config, inspect, load
from aiopsd.contracts import Clock
from aiopsd.document import Problem
from aiopsd.errors import ConfigError, JournalFailed
from aiopsd.pipeline import Pipeline
from aiopsd.remediation.halt import HaltFile
from aiopsd.stores import SqliteStore
from aiopsd.telemetry import cleaned_logs, log
from aiopsd.web.api import application
from aiopsd.web.control import listening
from aiopsd.web.door import serving

OWN_FILES: Final = (
    "journal.db", "journal.db-wal", "journal.db-shm", "lock", "HALT", "redaction.key",
    "positions.key", "control.sock",
)  # fmt: skip


async def serve(path: Path, clock: Clock = time.time) -> None:
    """Lives until SIGTERM. Raises ConfigError when it cannot begin."""
    config: Config | None = load(path)
    assert config is not None  # noqa: S101 - load raises
    signals = Signals(path, config.state, clock)
    with _only_one(config.state), signals.caught():
        _keep_to_owner(config.state, path)
        watched = Watched()
        watchdog = asyncio.create_task(watched.feed(), name="watchdog")
        try:
            last: Config | None = None
            while config is not None:
                try:
                    await _live(config, clock, signals, watched)
                except ConfigError as error:  # such as a port that somebody else has
                    if last is None:
                        raise
                    log.error("not reloaded, going on as before: %s", error)
                    config, last = last, None
                    continue
                last, config = config, signals.next_life()
        finally:
            watchdog.cancel()
            await asyncio.gather(watchdog, return_exceptions=True)
    log.info("stopped")


@contextlib.contextmanager
def _only_one(state: Path) -> Iterator[None]:
    """Two daemons on one journal would both act."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.fdopen(os.open(state / "lock", os.O_WRONLY | os.O_CREAT, 0o600), "w")
    except OSError as error:
        own = os.environ.get("STATE_DIRECTORY")
        hint = f"; under systemd write `state: {own}`" if own else ""
        raise ConfigError(
            f"the state folder {state} cannot be used: {error.strerror}{hint}"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"another aiopsd already runs on {state}") from None
        yield


def _keep_to_owner(state: Path, config: Path) -> None:
    """What is learned of a system is for nobody else to read; an earlier version left that to the
    umask. A folder that holds the configuration, or belongs to all, keeps its mode: there, only
    what is ours by name is closed."""
    sticky = state.stat().st_mode & stat.S_ISVTX
    shared = sticky or config.resolve().is_relative_to(state.resolve())
    found = [state / name for name in OWN_FILES] if shared else [state, *state.rglob("*")]
    for path in found:
        with contextlib.suppress(OSError):  # gone meanwhile
            one = path.lstat()
            ours = one.st_uid == os.geteuid()
            if ours and one.st_mode & 0o077 and not stat.S_ISLNK(one.st_mode):
                path.chmod(stat.S_IMODE(one.st_mode) & 0o700)


async def _live(config: Config, clock: Clock, signals: Signals, watched: Watched) -> None:
    """One life from start to stop."""
    store = SqliteStore(config.state / "journal.db", clock)
    house = House(config, clock, store)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        stack.enter_context(cleaned_logs(house.redactor.text))
        await house.restore()
        for notifier in house.notifiers.values():
            stack.push_async_callback(notifier.close)
        page = application(house.facts, house.routes)
        await stack.enter_async_context(serving(page, *config.daemon.web.listen.parts))
        await stack.enter_async_context(listening(config.state, house.commands))
        watched.house = house
        notify_socket.ready()
        log.info("ready rules=%d playbooks=%d", len(config.rules), len(config.playbooks))
        await _run(house.pipeline, signals.stopping, float(config.daemon.limits.grace))
        watched.house = None
        if house.pipeline.out_of_time:
            signals.again(config)
        if signals.ended:
            notify_socket.stopping()


async def _run(pipeline: Pipeline, stopping: asyncio.Event, grace_secs: float) -> None:
    """After the signal the pipeline has ``grace_secs`` to drain."""
    running = asyncio.create_task(pipeline.run(stopping), name="pipeline")
    stop = asyncio.create_task(stopping.wait(), name="stop")
    try:
        await asyncio.wait([running, stop], return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            _, late = await asyncio.wait([running], timeout=grace_secs)
            if late:
                log.warning("stopping without draining after=%.0fs", grace_secs)
                running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    except* JournalFailed as failures:
        raise _first(failures) from None
    finally:
        stop.cancel()


def _first(failures: ExceptionGroup[Any]) -> Exception:
    """Stages fail in groups of groups; people need one sentence."""
    one: Exception = failures
    while isinstance(one, ExceptionGroup):
        one = one.exceptions[0]
    return one


class Watched:
    """What the service manager's watchdog hears: only while the house is alive.

    A hung stage must look hung from outside; between two lives there is no house to ask.
    """

    def __init__(self) -> None:
        self.house: House | None = None

    async def feed(self) -> None:
        interval_secs = notify_socket.watchdog_interval_secs()
        while interval_secs is not None:
            if self.house is None or not self.house.facts.alive():
                notify_socket.watchdog()
            await asyncio.sleep(interval_secs)


class Signals:
    """SIGTERM and SIGINT stop, SIGHUP reloads, SIGUSR1 halts; also while a life begins or ends."""

    def __init__(self, path: Path, state: Path, clock: Clock) -> None:
        self.stopping = asyncio.Event()
        self.ended = False
        self._path = path
        self._state = state
        self._clock = clock
        self._next: Config | None = None

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        handlers = {
            signal.SIGTERM: self._end,
            signal.SIGINT: self._end,
            signal.SIGHUP: self._reload,
            signal.SIGUSR1: self._halt,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    def again(self, config: Config) -> None:
        """The same, unless another one is waiting already."""
        self._next = self._next or config

    def next_life(self) -> Config | None:
        """The configuration to go on with; None at the end."""
        config, self._next = self._next, None
        if self.ended or config is None:
            return None
        self.stopping = asyncio.Event()
        return config

    def _end(self) -> None:
        self.ended = True
        self.stopping.set()

    def _halt(self) -> None:
        HaltFile(self._state).halt("*", by="SIGUSR1", reason="", now_s=self._clock())
        log.warning("halted by SIGUSR1")

    def _reload(self) -> None:
        """All or nothing: the last good configuration stays when the new one has a fault."""
        notify_socket.reloading()
        config, problems = inspect(self._path)
        if config is not None and config.state != self._state:
            problems = [*problems, Problem(str(self._path), 1, 1, "`state` needs a restart")]
        for problem in problems:
            log.error("not reloaded: %s", problem)
        if problems or config is None:
            notify_socket.ready()
            return
        log.info("reloading")
        self._next = config
        self.stopping.set()
