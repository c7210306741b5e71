"""What people read in the message, and that Slack would take it."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aiopsd.model import Incident, Muted, Run
from aiopsd.notifiers.slack_message import TEXT_LIMIT, Message, render
from aiopsd.notifiers.slack_text import code, said
from tests.loopback.blocks import problems, total_chars
from tests.unit.notifiers import stories

PAGE = "https://aiopsd.example"


def texts(message: Message) -> list[str]:
    """Every text that a reader sees, in order."""
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for inner in value:
                walk(inner)
        elif isinstance(value, dict):
            if value.get("type") in ("mrkdwn", "plain_text"):
                found.append(value["text"])
            for inner in value.values():
                walk(inner)

    walk(message.blocks)
    return found


def header(incident: Incident, *runs: Run) -> str:
    return texts(render(incident, runs))[0]


def assert_fits(message: Message) -> None:
    assert problems(message.blocks, files=()) == []
    told = json.dumps(message.blocks)
    assert told.count('"mrkdwn"') == told.count('"verbatim": true'), "bare words make no links"
    assert len(message.blocks) <= 9
    assert total_chars(message.blocks) <= 11_000
    assert 0 < len(message.text) <= TEXT_LIMIT
    assert 0 < len(message.alone) <= TEXT_LIMIT


def test_why_it_is_muted_and_which_members_are_silenced() -> None:
    open_ = stories.ranked()
    text = "silenced by ana until 2026-05-28 22:26Z: new <disks> (SIL-1)"
    one = Muted(code="silenced", text=text, by="SIL-1", anomalies=(open_.anomalies[0].id,))
    some = render(replace(open_, silenced=(one,)), ())
    shown = "silenced by ana until 2026-05-28 22:26Z: new &lt;disks&gt; (SIL-1)"
    assert any(f"1 of {len(open_.anomalies)} series: {shown}" in t for t in texts(some))
    assert texts(some)[0] == header(open_)
    whole = replace(open_, muted=replace(one, anomalies=()), silenced=(one,))
    assert header(whole) == f"Muted: {header(open_)}"
    assert any(t.startswith(shown) for t in texts(render(whole, ())))
    over = replace(whole, state="resolved", resolved_s=open_.opened_s + 60)
    assert header(over).startswith("Resolved")
    assert not any("SIL-1" in t for t in texts(render(over, ())))
    many = tuple(replace(one, by=f"SIL-{n}", text="x" * 4000) for n in range(100))
    assert_fits(render(replace(open_, silenced=many), (stories.healed(),)))


def test_the_state_is_the_first_word_of_the_header() -> None:
    open_, over = stories.ranked(), stories.resolved()
    lost = replace(stories.made_worse(), outcome="rollback_failed")
    dry = replace(stories.healed(), outcome="dry")
    undoing = replace(stories.verifying(), state="undoing")
    assert header(stories.opened()) == "checkout: error ratio 12 %"
    assert header(open_, dry) == "checkout: error ratio 31 %"
    assert header(open_, stories.acting()) == "Healing: checkout: error ratio 31 %"
    assert header(open_, stories.verifying()).startswith("Healing: ")
    assert header(open_, undoing).startswith("Undoing: ")
    assert header(open_, stories.healed()).startswith("Healed: ")
    assert header(open_, stories.made_worse()).startswith("Needs you: ")
    assert header(open_, lost).startswith("Needs you: ")
    assert header(over, stories.healed()).startswith("Healed after 14 min: ")
    assert header(over, stories.made_worse()).startswith("Resolved after 14 min: ")
    assert header(over).startswith("Resolved after 14 min: ")


def test_the_newest_run_speaks_last() -> None:
    again = replace(stories.healed(), id="r-2", started_s=stories.T0 + 300)
    message = render(stories.ranked(), [again, stories.made_worse()])
    assert message.word == "Healed"
    assert "Before: rollback-after-bad-deploy made it worse" in texts(message)[-4]


def test_doubt_is_said() -> None:
    cause = texts(render(stories.unclear(), []))[1]
    assert cause.startswith("*Not clear yet:* *orders-db* (0.52) or *deploy api v1.42* at <!date^")
    assert texts(render(stories.opened(), []))[1] == "*No cause found yet.*"


def test_why_and_what_speaks_against_it() -> None:
    cause = texts(render(stories.ranked(), []))[1]
    assert cause == (
        "*Most likely: deploy api v1.42* at <!date^1795442280^{time}|13:58 UTC> (0.86). "
        "Deploy v1.42 132 s before its first anomaly. Log line TaxTableMissing is new.\n"
        "_Against it:_ Turned strange 8 s after the first."
    )


def test_facts_are_said_with_their_units() -> None:
    fields = texts(render(stories.ranked(), []))[2:6]
    assert fields == [
        "*Since*\n<!date^1795442520^{time}|14:02 UTC>, 30 s",
        "*Severity*\ncritical",
        "*Impact*\n31 % instead of 0 to 1.2 %",
        "*Strange*\n1 series in checkout, api",
    ]


def test_what_is_over_tells_how_bad_it_was() -> None:
    fields = texts(render(stories.resolved(), []))[2:6]
    assert fields[0] == "*Since*\n<!date^1795442520^{time}|14:02 UTC>, 14 min"
    assert fields[2] == "*Impact*\n31 %, now 0.6 %"


def test_steps_and_trouble_of_the_run() -> None:
    doing = texts(render(stories.ranked(), [stories.made_worse()]))[6]
    assert doing == (
        "*rollback-after-bad-deploy* on shop/api made it worse\n"
        "Steps: evidence done, back undone\n"
        "Trouble: p99 rose to 4 s"
    )


def test_the_last_values_are_drawn() -> None:
    shape = texts(render(stories.opened(), []))[7]
    assert shape == "▁▁▁·▁▄█  checkout: error ratio 12 %"


def test_a_button_only_where_there_is_a_page() -> None:
    button = render(stories.opened(), [], PAGE).blocks[-2]["elements"][0]
    assert button["url"] == "https://aiopsd.example/incidents/INC-2041"
    assert all(block["type"] != "actions" for block in render(stories.opened(), []).blocks)


@pytest.mark.parametrize(
    ("incident", "runs"),
    [
        (stories.opened(), []),
        (stories.unclear(), []),
        (stories.ranked(), [stories.acting()]),
        (stories.resolved(), [stories.made_worse(), stories.healed()]),
        (stories.hostile()[0], [stories.hostile()[1]]),
        (stories.hostile("")[0], [stories.hostile("")[1]]),
        (stories.hostile("x" * 1_000_000)[0], [stories.hostile("x" * 1_000_000)[1]]),
        stories.endless(),
    ],
)
def test_slack_would_take_it(incident: Incident, runs: list[Run]) -> None:
    assert_fits(render(incident, runs, PAGE))


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    incident, run = stories.hostile(text)
    message = render(incident, [run], PAGE)
    assert_fits(message)
    json.dumps(message.blocks, ensure_ascii=False).encode()


@given(st.lists(st.none() | st.floats(), max_size=60), st.floats(), st.floats())
def test_no_number_breaks_it(recent: list[float | None], low: float, observed: float) -> None:
    odd = stories.anomaly(recent=tuple(recent), low=low, high=None, observed=observed)
    assert_fits(render(replace(stories.opened(), anomalies=(odd,)), []))


def test_hostile_text_shows_as_text() -> None:
    incident, run = stories.hostile()
    message = render(incident, [run], PAGE)
    plain, *marked_up = texts(message)
    for text in (message.text, message.alone, *marked_up):
        assert not re.search(r"<(?!\!date\^\d+\^\{time\}\|\d\d:\d\d UTC>)", text), text
        assert not re.search(r"&(?!(amp|lt|gt);)", text), text
    assert message.text == (
        "Healing: &lt;!channel&gt; &lt;script&gt;alert(1)&lt;/script&gt; \u02cbrm -rf\u02cb "
        "\u2217bold\u2217 \u02cdit\u02cd \\u202edrow\\u2066 &amp; &lt;@U1|you&gt; &gt; x"
    )
    assert "<!channel> <script>" in plain, "a plain text needs no escapes"
    assert "\u202e" not in plain
    assert "\n" not in plain


def test_the_same_state_gives_the_same_message() -> None:
    one = render(stories.ranked(), [stories.acting()], PAGE)
    same = render(stories.ranked(), [stories.acting()], PAGE)
    other = render(stories.ranked(), [stories.verifying()], PAGE)
    assert one.digest == same.digest
    assert one.digest != other.digest


def test_names_of_metrics_can_be_copied() -> None:
    assert said("node_memory_MemFree_bytes job:up__sum of __name__", 99) == (
        "node_memory_MemFree_bytes job:up__sum of \u02cd\u02cdname\u02cd\u02cd"
    )


@given(st.text(alphabet="&<>`*_~a1 \n", max_size=60), st.integers(1, 40))
def test_a_cut_breaks_no_escape(text: str, limit: int) -> None:
    for shown in (said(text, limit), code(text, limit)[1:-1]):
        assert len(shown) <= limit
        assert not re.search(r"[<>`]|&(?!(amp|lt|gt);)", shown)


def test_a_log_line_of_what_is_strange_is_shown_as_it_is() -> None:
    first, *rest = stories.ranked().anomalies
    line = "ERROR <!channel> payment `refused` & <http://evil|click>"
    strange = replace(first, kind="log-novelty", evidence=("new", line, "runbook: https://x"))
    message = render(replace(stories.ranked(), anomalies=(strange, *rest)), (), PAGE)
    assert f"Says: {code(line, 300)}" in texts(message)
    assert "<!channel>" not in message.alone
    assert_fits(message)
    none = replace(first, kind="log-novelty", evidence=("runbook: https://x", "no data"))
    assert "Says:" not in render(replace(stories.ranked(), anomalies=(none,)), ()).alone
