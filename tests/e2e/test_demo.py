"""The demo keeps its promise: with Prometheus and without, for a fault and for none."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOAK = bool(os.environ.get("AIOPSD_SOAK"))  # `make soak`: every fault in every service
SAMPLES = {
    "payments/errors": True,
    "catalog/leak": False,
    "checkout/crash": True,
    "orders/slow": False,
    "web/none": True,
}
"""service/fault: whether it runs without Prometheus."""
GRID = {
    f"{service}/{fault}": (row + column) % 2 == 0
    for row, service in enumerate(("web", "catalog", "checkout", "orders", "payments"))
    for column, fault in enumerate(("slow", "errors", "leak", "crash", "none"))
}


async def demo(service: str, fault: str, path: str) -> tuple[int, str]:
    """Runs the command; the PATH decides whether it finds a Prometheus."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aiopsd", "demo", "--service", service, "--fault", fault),
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 240)
    return process.returncode or 0, said.decode()


@pytest.mark.parametrize(("sample", "without_prometheus"), (GRID if SOAK else SAMPLES).items())
async def test_it_heals_what_it_breaks(
    sample: str, without_prometheus: bool, tmp_path: Path
) -> None:
    if not without_prometheus and shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed; the scrape samples run")
    service, fault = sample.split("/")
    path = str(tmp_path) if without_prometheus else os.environ["PATH"]
    code, said = await demo(service, fault, path)
    assert code == 0, said
    assert ("direct scrape" in said) is without_prometheus
    if fault == "none":
        assert "incident" not in said.split("learning")[1].split("The whole story")[0]
        assert "nothing happened" in said
    else:
        assert f"1 {service}" in said
        assert "healed" in said
        assert "resolved" in said
