"""What is asked of Loki, what its answers mean, and what is remembered of them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.errors import Refused, Unreachable
from aiopsd.model import LogLine
from aiopsd.settings import Duration
from aiopsd.sources.fetch import Answer
from aiopsd.sources.loki import LokiSettings
from aiopsd.sources.loki_api import (
    Busy,
    Costly,
    Found,
    LimitRefused,
    LokiApi,
    RangeRefused,
)
from aiopsd.sources.loki_cursor import Cursor
from aiopsd.sources.loki_query import halves, narrowed, selector
from tests.loopback.logql import parse
from tests.loopback.recording import RECORDINGS

# --- questions and answers ----------------------------------------------------------------


def recorded(name: str) -> Answer:
    response = json.loads((RECORDINGS / f"loki/{name}.json").read_text())["response"]
    body = response["body"] if isinstance(response["body"], str) else json.dumps(response["body"])
    return Answer(response["status"], response["headers"].get("Content-Type", ""), body.encode())


async def ask(answer: Answer) -> list[LogLine]:
    async def fetch(_path: str, _params: Mapping[str, str]) -> Answer:
        return answer

    page = await LokiApi(fetch).lines("{}", 0, 1, 1)
    return [one.line for one in page.found]


LINES = ("query_range_", "push_partial_query", "query_err_max_bytes_read")
REFUSALS: dict[str, type[Exception]] = {
    "err_400_too_many_entries": LimitRefused,
    "err_400_too_long_range": RangeRefused,
    "err_400_max_series": Costly,
    "query_429_concurrent": Busy,
    "query_err_timeout_or_ok": Busy,
    "push_429_batch_over_burst": Busy,
    "push_429_max_streams": Busy,
    "push_429_rate_limited": Busy,
}
"""Whatever the name says: by what is inside."""
NAMES = sorted(
    file.stem
    for file in (RECORDINGS / "loki").glob("*.json")
    if "headers" in json.loads(file.read_text()).get("response", {})
)


@pytest.mark.parametrize("name", NAMES)
async def test_every_recorded_answer_is_taken_for_what_it_is(name: str) -> None:
    """As the answer to a question for lines: an answer of another kind is none."""
    answer = recorded(name)
    if not name.startswith(LINES):
        expected = REFUSALS.get(name, Refused if answer.status >= 400 else Unreachable)
        with pytest.raises(expected) as trouble:
            await ask(answer)
        assert type(trouble.value) is expected
        return
    lines = await ask(answer)
    result = json.loads(answer.body)["data"]["result"]
    told = [(int(ns), text) for stream in result for ns, text, *_ in stream["values"]]
    assert sorted((line.time_ns, line.text) for line in lines) == sorted(told)
    assert [line.time_ns for line in lines] == sorted(ns for ns, _ in told)
    for stream in result:
        wanted = stream["stream"].items()
        assert sum(wanted <= line.labels.items() for line in lines) >= len(stream["values"])


async def test_recorded_streams_are_listed() -> None:
    answers = iter([recorded("series"), recorded("tenant_ok_labels")])

    async def fetch(_path: str, _params: Mapping[str, str]) -> Answer:
        return next(answers)

    api = LokiApi(fetch)
    levels = [labels["level"] for labels in await api.streams('{app="cart"}', 0, 1)]
    assert sorted(levels) == ["debug", "error", "info", "warn"]
    assert await api.streams('{app="cart"}', 0, 1) == [], "`data` is left out"


async def test_structured_metadata_becomes_labels_but_replaces_none() -> None:
    lines = await ask(recorded("query_range_categorize_labels"))
    assert lines[-1] == LogLine(
        1795421616139299328,
        {
            "app": "checkout", "env": "prod", "level": "error", "namespace": "shop",
            "service_name": "checkout", "detected_level": "error", "pod": "checkout-2",
            "trace_id": "7d04bb3e2723b85b",
        },
        "panic: runtime error: index out of range [5] with length 203",
    )  # fmt: skip
    both = {"structuredMetadata": {"app": "m", "a": "m"}, "parsed": {"a": "p", "b": "p"}}
    lines = await ask(page_of({"app": "s"}, ["7", "line", both]))
    assert lines[0].labels == {"app": "s", "a": "m", "b": "p"}


def page_of(labels: Mapping[str, str], *values: list[object]) -> Answer:
    result = [{"stream": labels, "values": values}]
    body = json.dumps({"status": "success", "data": {"resultType": "streams", "result": result}})
    return Answer(200, "application/json", body.encode())


async def key_of(answer: Answer) -> str:
    async def fetch(_path: str, _params: Mapping[str, str]) -> Answer:
        return answer

    return (await LokiApi(fetch).lines("{}", 0, 1, 1)).found[0].key


async def test_a_line_is_the_same_whatever_the_order_of_its_labels() -> None:
    def metadata(**pairs: str) -> dict[str, object]:
        return {"structuredMetadata": pairs}

    one = page_of({"a": "1", "b": "2"}, ["7", "line", metadata(x="1", y="2")])
    same = page_of({"b": "2", "a": "1"}, ["7", "line", metadata(y="2", x="1")])
    others = [
        page_of({"a": "1", "b": "2"}, ["8", "line", metadata(x="1", y="2")]),
        page_of({"a": "1", "b": "2"}, ["7", "lines", metadata(x="1", y="2")]),
        page_of({"a": "1", "b": "3"}, ["7", "line", metadata(x="1", y="2")]),
        page_of({"a": "1", "b": "2"}, ["7", "line", metadata(x="1")]),
        page_of({"a": "1", "b": "2"}, ["7", "line"]),
        page_of({"a": "1", "b": "2"}, ["7", '[["x","1"],["y","2"]]line']),
    ]
    assert await key_of(one) == await key_of(same)
    assert len({await key_of(answer) for answer in [one, *others]}) == 7


async def test_a_broken_character_does_not_hide_the_page() -> None:
    good = page_of({"app": "shop"}, ["7", "caf@"])
    lines = await ask(Answer(200, "", good.body.replace(b"@", b"\xe9")))
    assert lines[0].text == "caf\N{REPLACEMENT CHARACTER}"


async def test_refusals_of_a_real_loki_are_understood() -> None:
    with pytest.raises(LimitRefused, match="6000 > 5000") as limit:
        await ask(recorded("err_400_too_many_entries"))
    assert limit.value.maximum == 5000
    with pytest.raises(RangeRefused) as longest:
        await ask(recorded("err_400_too_long_range"))
    assert longest.value.longest_secs == 30 * 86400 + 3600
    with pytest.raises(Refused, match="HTTP 401: no org id"):
        await ask(recorded("err_401_no_tenant"))
    with pytest.raises(Refused, match="syntax error"):
        await ask(recorded("err_400_bad_logql"))
    with pytest.raises(Busy, match="too many outstanding requests"):
        await ask(recorded("query_429_concurrent"))


DEEP = '{"data":{"result":[],"x":' + "[" * 10_000 + "]" * 10_000 + "}}"


@pytest.mark.parametrize("body", ["", "null", "[]", "{}", '{"status":"success"}', "<html>", DEEP])
async def test_nonsense_is_asked_for_again(body: str) -> None:
    with pytest.raises(Unreachable):
        await ask(Answer(200, "application/json", body.encode()))


texts = st.lists(st.text(max_size=8), min_size=1, max_size=30, unique=True)


@given(texts, texts)
def test_halves_share_every_line_between_them(seen: list[str], others: list[str]) -> None:
    cut = halves('{app="a"}', seen)
    if cut is None:
        assert len(seen) == 1
        return
    first, second = (parse(query) for query in cut)
    for text in {*seen, *others}:
        assert first.keeps(text) != second.keeps(text), "in one of them, and not in both"
    assert any(map(first.keeps, seen))
    assert any(map(second.keeps, seen))


def test_halves_of_many_lines_are_about_equal() -> None:
    seen = [f"2026-11-23 order {i:04} was refused" for i in range(1000)]
    cut = halves('{app="a"}', seen)
    assert cut is not None
    assert 300 < sum(map(parse(cut[0]).keeps, seen)) < 700
    assert halves('{app="a"}', ["same", "same"]) is None


def test_a_query_for_one_stream_names_all_labels() -> None:
    query = '  {app=~"a}\\"|b", x=`}`} |= "}"'
    assert selector(query) == '{app=~"a}\\"|b", x=`}`}'
    alone = narrowed(query, {"app": 'a}"', "level": "warn"}, {"app", "level", "zone"})
    assert alone == '  {app=~"a}\\"|b", x=`}`, app="a}\\"", level="warn", zone=""} |= "}"'
    assert parse(alone).selects({"app": 'a}"', "level": "warn", "x": "}"})
    assert not parse(alone).selects({"app": 'a}"', "level": "warn", "x": "}", "zone": "1"})


@pytest.mark.parametrize("query", ['rate({a="b"}[5m])', "app", '{app="a', " "])
def test_a_query_that_selects_no_lines_is_an_error_of_the_settings(query: str) -> None:
    with pytest.raises(ValueError, match="stream selector"):
        LokiSettings(url="http://loki", query=query)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"url": "ftp://loki"}, "url"),
        ({"every": Duration(0)}, "every"),
        ({"limit": 0}, "limit"),
        ({"username": "me"}, "password_file"),
        ({"username": "me", "password_file": "p", "token_file": "t"}, "either"),
        ({"headers": {"a b": "c"}}, "header"),
        ({"tenant": "a b"}, "tenant"),
        ({"tenant": "a||b"}, "tenant"),
        ({"key_file": "key.pem"}, "cert_file"),
    ],
)
def test_wrong_settings_say_what_is_wrong(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LokiSettings(**{"url": "http://loki", **wrong})  # type: ignore[arg-type]


# --- the cursor ---------------------------------------------------------------------------


def test_a_position_keeps_only_what_may_still_change() -> None:
    cursor = Cursor.begin(now_ns=1000, history_ns=1000)
    cursor.advance([found(10), found(400), found(600)], to_ns=700, final_ns=300)
    assert cursor.position()["floor"] == "300"
    assert "".join(cursor.position()["seen"])[16:] == key(400) + key(600)
    cursor.swept(500)
    cursor.swept(601)
    known = {"cursor": "700", "floor": "601", "live": "1000", "seen": [], "mark": ""}
    assert cursor.position() == known


def test_keys_that_nobody_can_compare_make_final_what_was_read() -> None:
    cursor = Cursor.begin(now_ns=1000, history_ns=1000, mark="one key")
    cursor.advance([found(10), found(400), found(600)], to_ns=700, final_ns=300)
    saved = cursor.position()
    assert Cursor.restore(saved, "one key").position() == saved
    final = saved | {"floor": "700", "seen": []}
    assert Cursor.restore(saved, "another").position() == final | {"mark": "another"}
    del saved["mark"]  # as it was before there was a key
    assert Cursor.restore(saved, "one key").position() == final


def test_a_position_survives_json() -> None:
    cursor = Cursor.begin(now_ns=1000, history_ns=1000)
    cursor.advance([found(10), found(600)], to_ns=600, final_ns=0)
    again = Cursor.restore(json.loads(json.dumps(cursor.position())))
    assert again.position() == cursor.position()
    assert again.advance([found(600), found(601)], 700, 0) == (found(601).line,)


def test_too_many_lines_shorten_the_search_for_late_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiopsd.sources.loki_cursor._MAX_KEYS", 100)
    cursor = Cursor.begin(now_ns=1000, history_ns=1000)
    for to_ns in range(10, 1010, 10):
        cursor.advance([found(to_ns - i) for i in range(10, 0, -1)], to_ns, final_ns=0)
    assert len(cursor.position()["seen"]) == 10
    assert cursor.floor_ns == 900
    assert cursor.forgotten == 900


def found(time_ns: int) -> Found:
    return Found(key(time_ns), LogLine(time_ns, {}, str(time_ns)))


def key(time_ns: int) -> str:
    return f"{time_ns:016x}"
