"""``aiopsd replay`` over days that a real Prometheus has on disk."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from aiopsd.cli import main
from tests.integration.programs import Program

pytestmark = pytest.mark.prometheus
DAY, SCRAPE_SECS = 86_400, 60
RULES = """
pack: shop
rules:
  - id: errors
    title: error ratio
    promql: sum by (service) (rate(errors_total[5m])) / sum by (service) (rate(requests_total[5m]))
    every: 1m
    detector: {type: threshold, above: 0.1}
    unit: ratio
  - id: load
    promql: sum by (service) (rate(requests_total[5m]))
    every: 1m
    detector: {type: band}
  - {id: broken, promql: "sum((requests_total", detector: {type: band}}
"""


def three_days(folder: Path, end_s: int) -> None:
    """Two services; a day before the end a third of what `api` answers is wrong for a while."""
    random = np.random.default_rng(1)
    times_s = end_s - 3 * DAY + np.arange(3 * DAY // SCRAPE_SECS) * SCRAPE_SECS
    lines = {"requests": ["# TYPE requests counter"], "errors": ["# TYPE errors counter"]}
    for service in ("web", "api"):
        requests = random.poisson(600, len(times_s))
        sick = (service == "api") & (np.abs(times_s - (end_s - DAY)) < 900)
        errors = random.binomial(requests, np.where(sick, 0.33, 0.005))
        for name, values in (("requests", requests), ("errors", errors)):
            lines[name] += [
                f'{name}_total{{service="{service}"}} {value} {at}'
                for at, value in zip(times_s, np.cumsum(values), strict=True)
            ]
    text = folder / "days.om"
    text.write_text("\n".join([*lines["requests"], *lines["errors"], "# EOF\n"]))
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", text, folder / "data"],
        check=True, capture_output=True,
    )  # fmt: skip


@pytest.fixture
async def config(tmp_path: Path) -> AsyncIterator[Path]:
    end_s = int(time.time()) // SCRAPE_SECS * SCRAPE_SECS
    three_days(tmp_path, end_s)
    (tmp_path / "prometheus.yml").write_text("global: {}\n")
    program = Program(
        tmp_path,
        "prometheus",
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        "--storage.tsdb.retention.time=1y",
        "--web.listen-address=127.0.0.1:{port}",
        ready="/-/ready",
    )
    async with program:
        (tmp_path / "rules").mkdir()
        (tmp_path / "rules" / "shop.yaml").write_text(RULES)
        path = tmp_path / "aiopsd.yaml"
        path.write_text(f"sources: {{prom: {{type: prometheus, url: '{program.url}'}}}}\n")
        yield path


async def test_three_days(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["replay", "-c", str(config), "--since", "70h", "--json"]
    assert await asyncio.to_thread(main, words) == 1
    found = json.loads(capsys.readouterr().out)
    errors, load, broken = found["rules"]
    assert (errors["series"], errors["counts"]["certain"]) == (2, 1)
    (example,) = errors["counts"]["examples"]
    assert example["labels"] == {"service": "api"}
    assert example["onset_s"] == pytest.approx(time.time() - DAY - 900, abs=600)
    assert example["lasted_secs"] == pytest.approx(2100, abs=300)
    assert load["series"] == 2
    assert load["counts"]["certain"] == 0
    assert broken["trouble"].startswith("refused: ")
    assert "parse error" in broken["trouble"]
    sick = [one for one in found["incidents"] if "errors" in one["rules"]]
    assert len(sick) == 1
    assert sick[0]["services"] == ["api"]
