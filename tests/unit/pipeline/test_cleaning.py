"""Lines before they are mined, labels before they are kept, events before they are journalled."""

from msgspec.structs import replace

from aiopsd.correlation.quiet.matchers import fit
from aiopsd.correlation.quiet.silences import made
from aiopsd.logs import Miner
from aiopsd.model import Anomaly, Batch, Change, LogBatch, LogLine, Run, StepRecord
from aiopsd.pipeline.cleaning import Cleaning
from aiopsd.pipeline.detection import Detection
from aiopsd.redaction import Names, Redactor
from aiopsd.series import SeriesTable
from aiopsd.transforms import Transforms

REDACTOR = Redactor(Names(b"k" * 32))
MAIL = "mara@shop.example"
TAKEN = REDACTOR.names.name("email", MAIL)


class Recorder(Miner):
    """Keeps what it was fed."""

    fed: list[str]

    def feed(self, batch: LogBatch) -> Batch:
        self.fed = [line.text for line in batch.lines]
        return super().feed(batch)


def detection() -> tuple[Detection, Recorder]:
    table = SeriesTable(clean=REDACTOR.labels)
    miner = Recorder(table)
    return Detection(table, miner, Transforms({}, table), {}, {}, Cleaning(REDACTOR)), miner


def lines(*texts: str) -> LogBatch:
    return LogBatch(1.0, tuple(LogLine(1, {"service": "api"}, text) for text in texts))


def test_lines_are_clean_before_they_are_mined() -> None:
    one, miner = detection()
    one.observe("logs", (lines(f"to {MAIL}", "password=hunter2", "all is well"),), {})
    assert miner.fed == [f"to {TAKEN}", "password=<secret>", "all is well"]
    kept = b"".join(one.save().values())
    assert MAIL.encode() not in kept
    assert b"hunter2" not in kept


def test_clean_lines_are_handed_on_as_they_are() -> None:
    batch = lines("all is well", "GET / 200")
    assert Cleaning(REDACTOR).lines(batch) is batch
    mixed = lines("all is well", MAIL)
    assert Cleaning(REDACTOR).lines(mixed).lines[0] is mixed.lines[0]


def test_labels_are_clean_before_they_are_kept() -> None:
    table = SeriesTable(clean=REDACTOR.labels)
    index = table.intern("r", {"user": MAIL, "token": "a1b2c3d4"})
    assert table.labels(index) == {"user": TAKEN, "token": "<secret>"}
    assert table.intern("r", {"user": MAIL, "token": "a1b2c3d4"}) == index
    assert table.intern("r", {"user": TAKEN, "token": "<secret>"}) == index
    assert table.intern("r", {"user": "a@b.example", "token": "a1b2c3d4"}) != index
    assert MAIL.encode() not in b"".join(table.save().values())


def test_what_comes_ready_is_cleaned_too() -> None:
    alert = Anomaly(
        id="a", rule="Leak", kind="availability", severity="low", tier="certain",
        labels={"user": MAIL}, entity={"user": MAIL}, service="api", onset_s=1.0, seen_s=1.0,
        detector="alertmanager", title=f"login of {MAIL}", score=1.0, evidence=("password=x1",),
    )  # fmt: skip
    change = Change(id="c", kind="deploy", time_s=1.0, service="api", author=MAIL)
    one, _ = detection()
    found = one.observe("alerts", (alert, change), {})
    assert found.anomalies[0].labels == found.anomalies[0].entity == {"user": TAKEN}
    assert found.anomalies[0].title == f"login of {TAKEN}"
    assert found.anomalies[0].evidence == ("password=<secret>",)
    assert found.changes[0].author == TAKEN


RUN = Run(id="r", incident="i", playbook="p", digest="0b7e4e46" * 8, target="t", started_s=1.0)


def test_a_run_that_is_not_kept_whole_says_so() -> None:
    cleaning = Cleaning(REDACTOR)
    assert cleaning.event(RUN) is RUN
    step = StepRecord(id="s", do="command.run", inputs={"argv": ["mail", MAIL]})
    clean = cleaning.event(replace(RUN, steps=(step,)))
    assert clean.redacted
    assert clean.steps[0].inputs == {"argv": ["mail", TAKEN]}
    said = StepRecord(id="s", do="command.run", result={"stdout": MAIL})
    clean = cleaning.event(replace(RUN, steps=(said,)))
    assert not clean.redacted
    assert clean.steps[0].result == {"stdout": TAKEN}


def test_a_silence_fits_the_labels_as_they_are_kept_and_repeats_no_secret() -> None:
    silence = made([f"user={MAIL}"], owner=MAIL, reason="login with password=hunter2 fails",
                   starts_s=0.0, ends_s=600.0, now_s=0.0)  # fmt: skip
    kept = Cleaning(REDACTOR).event(silence)
    assert (kept.owner, kept.reason) == (TAKEN, "login with password=<secret> fails")
    assert fit(kept.matchers, REDACTOR.labels({"user": MAIL}))
    assert (kept.id, kept.ends_s) == (silence.id, 600.0)
