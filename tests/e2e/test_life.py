"""Signals, at good moments and at bad ones."""

import asyncio
import signal
import socket
import sys
from pathlib import Path

from tests.e2e.daemon import PATIENCE_SECS, Daemon
from tests.loopback.exporter import Exporter

SICK = 'sick{service="api"}'


async def test_many_reloads_in_a_row_and_then_a_stop(daemon: Daemon) -> None:
    await daemon.start()
    for _ in range(12):
        daemon.signal(signal.SIGHUP)
        await asyncio.sleep(0.05)  # some meet a daemon that lives, some one that is being rebuilt
    await daemon.until(lambda: daemon.get("/readyz")[0] == 200)
    assert await daemon.stop() == 0


async def test_a_stop_while_it_starts_is_a_stop(daemon: Daemon) -> None:
    argv = (sys.executable, "-m", "aiopsd", "run", "-c", str(daemon.folder / "aiopsd.yaml"))
    for after_secs in (0.35, 0.45, 0.55, 0.7, 0.9):
        process = await asyncio.create_subprocess_exec(
            *argv, cwd=Path(__file__).parents[2], stderr=asyncio.subprocess.DEVNULL
        )
        await asyncio.sleep(after_secs)
        process.terminate()
        code = await asyncio.wait_for(process.wait(), PATIENCE_SECS)
        assert code in (0, -signal.SIGTERM)  # before Python has our handlers it is plain death
    await daemon.start()


async def test_a_halt_by_signal_holds_every_playbook(daemon: Daemon, exporter: Exporter) -> None:
    await daemon.start()
    daemon.signal(signal.SIGUSR1)
    await daemon.until(lambda: daemon.listing("halts"))
    exporter.gauges[SICK] = 1.0
    decision = await daemon.until(
        lambda: [d for d in daemon.listing("decisions") if d["reason"]["code"] == "halted"]
    )
    assert decision[0]["reason"]["text"] == "everything is halted by SIGUSR1"
    await daemon.kill()
    await daemon.start()  # it survives a restart
    assert daemon.listing("halts")
    assert not (daemon.folder / "acts").exists()
    (daemon.folder / "state" / "HALT").unlink()
    await daemon.until(lambda: (daemon.folder / "acts").exists())


async def test_a_reload_that_cannot_begin_goes_on_as_before(daemon: Daemon) -> None:
    await daemon.start()
    config = daemon.folder / "aiopsd.yaml"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config.write_text(config.read_text().replace(f":{daemon.port}", f":{port}"))
        daemon.signal(signal.SIGHUP)
        await daemon.until(lambda: daemon.log_lines("not reloaded", str(port)))
        await daemon.until(lambda: daemon.get("/readyz")[0] == 200)  # at the old address
    assert await daemon.stop() == 0


async def test_a_second_daemon_on_the_same_state_is_refused(daemon: Daemon) -> None:
    await daemon.start()
    argv = (sys.executable, "-m", "aiopsd", "run", "-c", str(daemon.folder / "aiopsd.yaml"))
    second = await asyncio.create_subprocess_exec(
        *argv, cwd=Path(__file__).parents[2], stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(second.communicate(), PATIENCE_SECS)
    assert second.returncode == 78
    assert b"another aiopsd already runs" in said
    assert daemon.get("/healthz")[0] == 200
