"""Labels longer than any name are named once a source, in few words."""

import pytest

from aiopsd.pipeline.oversize import Oversize
from aiopsd.telemetry import Telemetry


def test_said_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry(lambda: 0.0)
    told = Oversize(telemetry)
    for part in ("fleet/a:9100", "fleet/b:9100", "hub"):
        for _ in range(2):
            told(part, {"__name__": "up" * 9000, "short": "x", "text" * 90: "x" * 70_000})
    assert telemetry.counters == {("oversize_series", "fleet"): 4, ("oversize_series", "hub"): 2}
    assert [record.args[0] for record in caplog.records if record.args] == ["fleet", "hub"]
    assert "most of them in texttext" in caplog.text
    assert len(caplog.text) < 1000
