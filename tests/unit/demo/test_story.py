"""Journal events become lines, each told once, in the order of time at the end."""

from aiopsd.demo.story import Story, bar
from aiopsd.model import Change, Decision, Incident, Moment, Reason, Run, Suspect

T = 1_000_000.0


def moment(after_s: float, what: str, text: str) -> Moment:
    return Moment(time_s=T + after_s, what=what, text=text)


def incident(*moments: Moment, suspects: tuple[Suspect, ...] = ()) -> Incident:
    return Incident(
        id="INC-1",
        fingerprint="f",
        title="errors",
        kind="error-rate",
        severity="high",
        opened_s=T,
        onset_s=T,
        updated_s=T + 5,
        moments=moments,
        suspects=suspects,
    )


def suspect(name: str, score: float) -> Suspect:
    return Suspect(
        kind="Service",
        id=name,
        service=name,
        metric="errors",
        anomaly_kind="error-rate",
        score=score,
        reasons=(Reason(code="a", text="because"),),
        against=(Reason(code="b", text="but"),),
    )


def test_a_moment_is_told_once_however_often_its_owner_is_seen() -> None:
    story = Story(T)
    first = story.feed(incident(moment(1, "opened", "errors")))
    assert first == [" 00:01  ▌ opened    errors"]
    again = story.feed(incident(moment(1, "opened", "errors"), moment(61, "resolved", "over")))
    assert again == [" 01:01  ✓ resolved  over"]


def test_a_ranking_is_told_when_another_is_first_with_reasons_for_and_against() -> None:
    story = Story(T)
    lines = story.feed(incident(suspects=(suspect("api", 0.75), suspect("db", 0.1))))
    assert lines[0].split() == ["00:05", "suspect", "1", "api", bar(0.75), "0.75"]
    assert [line.strip() for line in lines[1:3]] == ["+ because", "- but"]
    assert story.feed(incident(suspects=(suspect("api", 0.8), suspect("web", 0.1)))) == []
    assert story.feed(incident(suspects=(suspect("db", 0.6), suspect("api", 0.3))))


def test_a_decision_is_told_when_it_says_something_else() -> None:
    story = Story(T)

    def decision(text: str) -> Decision:
        return Decision(
            id="INC-1/cure",
            incident="INC-1",
            playbook="cure",
            target="service/api",
            mode="auto",
            verdict="hold",
            reason=Reason(code="c", text=text),
            time_s=T,
        )

    assert story.feed(decision("cooldown")) == [" 00:00  ▲ gate      cure: hold, cooldown"]
    assert story.feed(decision("cooldown")) == []
    assert story.feed(decision("limit")) != []


def test_the_timeline_is_in_the_order_of_time_and_fits_the_terminal() -> None:
    story = Story(T, width=40)
    run = Run(
        id="r", incident="INC-1", playbook="cure", digest="d", target="t", started_s=T,
        moments=(moment(9, "apply", "x" * 100),),
    )  # fmt: skip
    story.feed(run)
    change = Change(id="c", kind="deploy", time_s=T + 3, service="api", version="v2")
    story.feed(change)
    told = story.timeline()
    assert [line.split()[1] for line in told] == ["change", "apply"]
    assert all(len(line) <= 40 for line in told)
    assert told[1].endswith("…")


def test_bars() -> None:
    assert [bar(score, 4) for score in (0.0, 0.5, 1.0, 0.53)] == ["░░░░", "██░░", "████", "██▏░"]
    assert bar(7.0, 4) == "████"
