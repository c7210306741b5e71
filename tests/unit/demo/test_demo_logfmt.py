"""A toy service's log can be read line by line, whatever a value holds."""

import re
from pathlib import Path

from aiopsd.demo.logfmt import LogFile


def test_a_line_is_logfmt_with_time_level_and_service(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "logs" / "payments.log", "payments")
    log.write("error", "tax table missing", order=1234)
    line = (tmp_path / "logs" / "payments.log").read_text()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
        r'level=error service=payments msg="tax table missing" order=1234\n',
        line,
    )


def test_no_value_breaks_out_of_its_line(tmp_path: Path) -> None:
    LogFile(tmp_path / "a.log", "web").write("info", 'said "a=b"\nand \\ left', empty="")
    text = (tmp_path / "a.log").read_text()
    assert text.count("\n") == 1
    assert text.endswith(r'msg="said \"a=b\"\nand \\ left" empty=""' + "\n")


def test_a_sampled_kind_of_line_is_silent_until_its_time(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log", "web")
    assert log.sample("handled", every_secs=1000)
    assert not log.sample("handled", every_secs=1000)
    assert log.sample("slow", every_secs=0)
    assert log.sample("slow", every_secs=0)
