"""Gone is one line, back is one line; counters follow the naming rules."""

import io
import json
import logging

import pytest

from aiopsd.telemetry import MAX_CHARS, JsonLines, PlainLines, Telemetry, cleaned_logs


def test_gone_and_back_are_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "aiopsd")
    now = [100.0]
    telemetry = Telemetry(lambda: now[0])
    telemetry.came("prom")
    for reason in ("refused", "refused", "timeout"):
        telemetry.went("prom", reason)
    assert telemetry.gone == {"prom": (100.0, "timeout")}
    now[0] = 160.0
    telemetry.came("prom")
    telemetry.came("prom")
    assert [r.getMessage() for r in caplog.records] == [
        "gone part=prom reason=refused",
        "back part=prom after=60s",
    ]


def test_a_source_of_many_targets_is_silent_when_all_of_them_are() -> None:
    telemetry = Telemetry(lambda: 0.0)
    telemetry.came("app/one")
    telemetry.went("app/two", "refused")
    telemetry.went("prom", "refused")
    telemetry.went("slack", "refused")
    assert telemetry.silent(["app", "prom"]) == {"prom"}
    telemetry.went("app/one", "refused")
    assert telemetry.silent(["app", "prom"]) == {"app", "prom"}
    telemetry.came("app/two")
    telemetry.came("prom")
    assert telemetry.silent(["app", "prom"]) == set()


def test_exposition_is_text_format_with_escapes() -> None:
    telemetry = Telemetry(lambda: 0.0)
    telemetry.count("dropped_lines", 2, 'a"b\\c\nd')
    telemetry.count("dropped_lines", 3, 'a"b\\c\nd')
    telemetry.gauge("series", lambda: 12)
    telemetry.gauge("outbox_depth", lambda: 1, "my-slack")
    telemetry.gauge("outbox_depth", lambda: 2, "desk")
    telemetry.went("prom", "no answer")
    text = telemetry.exposition()
    assert "# TYPE aiopsd_dropped_lines_total counter\n" in text
    assert 'aiopsd_dropped_lines_total{part="a\\"b\\\\c\\nd"} 5\n' in text
    assert "aiopsd_series 12\n" in text
    assert (
        "# TYPE aiopsd_outbox_depth gauge\n"
        'aiopsd_outbox_depth{part="desk"} 2\n'
        'aiopsd_outbox_depth{part="my-slack"} 1\n'
    ) in text
    assert text.count("# TYPE") == len(set(text.split("# TYPE ")[1:])) == 5
    assert 'aiopsd_part_gone{part="prom"} 1\n' in text


def test_a_label_cannot_write_lines_of_its_own_or_steer_a_terminal() -> None:
    title = "up\n2026-01-01 INFO    stopped \x1b[2J\u202ecod.exe \ud800"
    record = logging.LogRecord("x", 20, "f", 1, "incident title=%s", (title,), None)
    assert PlainLines("%(levelname)s %(message)s").format(record) == (
        "INFO incident title=up\n    2026-01-01 INFO    stopped \\x1b[2J\\u202ecod.exe \\ud800"
    )


@pytest.mark.parametrize("formatter", [PlainLines("%(message)s"), JsonLines()])
def test_no_line_is_a_megabyte(formatter: logging.Formatter) -> None:
    record = logging.LogRecord("x", 20, "f", 1, "%s", ("x" * 1_000_000,), None)
    assert MAX_CHARS <= len(formatter.format(record)) < MAX_CHARS + 200


def test_json_lines_are_one_line_even_with_a_traceback() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("x", 40, "f", 1, "it %s", ("broke",), None)
        import sys

        record.exc_info = sys.exc_info()
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == "it broke"


@pytest.mark.parametrize("formatter", [PlainLines("%(message)s"), JsonLines()])
def test_nothing_is_logged_that_is_to_be_taken_out(formatter: logging.Formatter) -> None:
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(formatter)
    log, root = logging.getLogger("aiopsd.test"), logging.getLogger()
    root.addHandler(handler)
    try:
        with cleaned_logs(lambda text: text.replace("hunter2", "<secret>")):
            log.warning("login with %s", "hunter2")
            try:
                raise ValueError("not hunter2")
            except ValueError:
                log.exception("broken")
        log.warning("once more %s", "hunter2")
    finally:
        root.removeHandler(handler)
    before, _, after = said.getvalue().partition("once more")
    assert "login with <secret>" in before
    assert "ValueError: not <secret>" in before
    assert "hunter2" not in before
    assert "hunter2" in after


def test_a_reason_is_clean_before_it_is_kept() -> None:
    telemetry = Telemetry(lambda: 0.0, clean=lambda text: text.replace("hunter2", "<secret>"))
    telemetry.went("prom", "password=hunter2")
    assert telemetry.gone["prom"][1] == "password=<secret>"
