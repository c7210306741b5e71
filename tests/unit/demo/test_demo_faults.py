"""Releases behave as they say, without any server around them."""

import asyncio
import random
from pathlib import Path

import pytest

from aiopsd.demo.faults import Healthy, WorkFailed, behaviour
from aiopsd.demo.logfmt import LogFile
from aiopsd.errors import ConfigError

REQUESTS = 400


def make(folder: Path, fault: str | None) -> Healthy:
    log = LogFile(folder / "payments.log", "payments")
    return behaviour(fault, "payments", random.Random("payments:0"), log)


async def durations(release: Healthy) -> list[float]:
    """Seconds that each request's own work took; failed ones too."""
    loop, took = asyncio.get_running_loop(), []
    for order in range(REQUESTS):
        began = loop.time()
        try:
            await release.work(str(order))
        except WorkFailed:
            took.append(-1.0)
        else:
            took.append(loop.time() - began)
    return took


@pytest.mark.looptime
async def test_a_good_release_takes_5_to_15_ms_and_never_fails(tmp_path: Path) -> None:
    took = sorted(await durations(make(tmp_path, None)))
    assert took[0] > 0.003
    assert 0.007 < took[REQUESTS // 2] < 0.009
    assert took[-1] < 0.020
    assert (tmp_path / "payments.log").read_text() == ""


@pytest.mark.looptime
async def test_the_same_seed_gives_the_same_jitter(tmp_path: Path) -> None:
    assert await durations(make(tmp_path, None)) == pytest.approx(
        await durations(make(tmp_path, None)), abs=1e-4
    )


@pytest.mark.looptime
async def test_a_slow_release_takes_400_ms_longer_and_never_fails(tmp_path: Path) -> None:
    took = sorted(await durations(make(tmp_path, "slow")))
    assert took[0] > 0.15
    assert 0.38 < took[REQUESTS // 2] < 0.44
    assert took[-1] < 1.5  # callers wait for 2 s
    assert "full scan of table tax_rules" in (tmp_path / "payments.log").read_text()


@pytest.mark.looptime
async def test_a_failing_release_fails_two_of_five(tmp_path: Path) -> None:
    took = await durations(make(tmp_path, "errors"))
    assert 0.34 < took.count(-1.0) / REQUESTS < 0.46


@pytest.mark.looptime
async def test_a_crashing_release_dies_of_a_request_after_2_to_4_s(tmp_path: Path) -> None:
    release, loop = make(tmp_path, "crash"), asyncio.get_running_loop()
    death = asyncio.create_task(release.background())
    await asyncio.sleep(10)
    assert not death.done()  # nobody asked for anything yet
    fatal = asyncio.create_task(release.work("77"))
    with pytest.raises(IndexError, match="TaxEngineError"):
        await asyncio.wait_for(death, 10)
    assert loop.time() < 11
    assert not fatal.done()
    fatal.cancel()
    assert "level=fatal" in (tmp_path / "payments.log").read_text()


def test_an_unknown_fault_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown fault 'gremlins'; there are: slow, errors"):
        make(tmp_path, "gremlins")
