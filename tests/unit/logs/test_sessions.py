"""Sessions: judged by those before, the same however their lines come, bounded, explained."""

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiopsd.failure_words import fails
from aiopsd.logs import session_keys, sessions
from aiopsd.logs.sessions import Session, Sessions
from aiopsd.logs.surprise import FLAG, MAX_TEMPLATES, SHORT, Judged, Surprise, bucket

USUAL = {1: 3, 2: 1, 3: 2}
FAILS = 99  # the template that speaks of failure


def surprise(warm: int = 20) -> Surprise:
    return Surprise(lambda template: template == FAILS, warm)


def taught(n: int = 300) -> Surprise:
    one = surprise()
    for _ in range(n):
        one.observe(USUAL)
    return one


def judged(one: Surprise, counts: dict[int, int]) -> Judged:
    other = surprise()
    other.load(one.save())
    return other.observe(counts)


@pytest.mark.parametrize(
    ("text", "level", "says"),
    [
        ("Got exception while serving <id> to <ip>", "", True),
        ("java.lang.NullPointerException", "", True),
        ("failed to connect: connection refused", "", True),
        ("anything at all", "error", True),
        ("finished with 0 errors", "", False),
        ("no errors found", "info", False),
        ("error=null took <duration>", "", False),
        ("Received block <id> of size <num>", "info", False),
        ("failover region is eu", "", False),
    ],
)
def test_words_of_failure(text: str, level: str, says: bool) -> None:
    assert fails(text, level) is says


def test_what_was_never_there_what_is_missing_and_what_came_too_often_are_strange() -> None:
    one = taught()
    assert not judged(one, USUAL).flag
    for strange in (USUAL | {4: 1}, {1: 3, 2: 1}, USUAL | {2: 40}):
        assert judged(one, strange).flag
    new = judged(one, USUAL | {4: 1}).why[0]
    assert (new.template, new.times, new.usual) == (4, 1, 0)
    assert new.said("disk <id> replaced") == '"disk <id> replaced" once: 1 in 300 sessions'
    gone = judged(one, {1: 3, 2: 1}).why[0]
    assert gone.said("done") == '"done" missing, usually 2 times: 1 in 300 sessions'


@pytest.mark.parametrize(
    ("read", "said"), [(299, "1 in 300 "), (350, "1 in 300 "), (99, "1 in 100 ")]
)
def test_no_rarer_than_what_was_read(read: int, said: str) -> None:
    assert said in taught(read).observe(USUAL | {4: 1}).why[0].said("disk <id> replaced")


def test_nothing_is_judged_before_enough_is_known() -> None:
    one = surprise(warm=20)
    assert [one.observe({n: 1}).flag for n in range(20)] == [False] * 20


def test_a_failure_that_repeats_stays_strange_and_a_new_way_to_work_does_not() -> None:
    failing, working = taught(1000), taught(1000)
    bad = [failing.observe(USUAL | ({FAILS: 1} if n % 20 == 0 else {})) for n in range(1000)]
    new = [working.observe(USUAL | ({4: 1} if n % 5 == 0 else {})) for n in range(1000)]
    assert sum(one.flag for one in bad[-200:]) == 10
    assert new[0].flag
    assert not any(one.flag for one in new[SHORT:])


def test_where_all_has_changed_the_bar_rises_until_it_is_learned() -> None:
    one = taught(1000)
    changed = [one.observe({FAILS: 1, 7: 2}).flag for _ in range(600)]
    assert changed[0]
    assert sum(changed[400:]) == 0


def test_what_came_in_the_midst_of_trouble_hardly_teaches() -> None:
    scores = {}
    for trusted in (True, False):
        one = taught(1000)
        for n in range(400):
            one.observe(USUAL | ({FAILS: 1} if n % 2 else {}), trusted=trusted)
        scores[trusted] = one.observe(USUAL | {FAILS: 1}).score
    assert scores[False] > scores[True]


def test_saved_and_loaded_it_says_the_same() -> None:
    draw, one, other = Random(1), taught(), surprise()
    other.load(one.save())
    for _ in range(200):
        counts = {draw.randrange(6): draw.randrange(1, 5) for _ in range(3)}
        assert one.observe(counts) == other.observe(counts)
    with pytest.raises(ValueError, match="saved state"):
        other.load(b"garbage")


def test_templates_are_bounded() -> None:
    one = surprise()
    for n in range(3 * MAX_TEMPLATES):
        one.observe({1: 1, 10_000 + n: 1})
    assert len(one._long.total) <= MAX_TEMPLATES + 16
    assert not one.observe({1: 1}).flag


def test_templates_that_turn_out_to_be_one_are_counted_as_one() -> None:
    one = taught()
    one.join({3: 2})
    assert not judged(one, {1: 3, 2: 3}).flag
    assert {3} & one._long.total.keys() == set()


@given(st.integers(1, 10**9))
def test_buckets_grow_with_counts(count: int) -> None:
    assert bucket(count) <= bucket(count + 1) <= bucket(count) + 1


# --- lines put together ---------------------------------------------------------------------

Line = tuple[float, str, int]


def lines(n: int = 200) -> list[Line]:
    draw = Random(3)
    found = [
        (10.0 * number + step, f"r{number}", template)
        for number in range(n)
        for step, template in enumerate((1, 1, 2, 3) if draw.random() > 0.05 else (1, FAILS))
    ]
    return sorted(found)


def fed(found: Iterable[Line], **kw: float) -> list[Session]:
    one = Sessions(lambda template: template == FAILS, warm=20, **kw)  # type: ignore[arg-type]
    over = [session for line in found for session in one.feed(*line)]
    return over + one.flush()


def test_a_session_is_over_when_it_falls_silent() -> None:
    one = Sessions(lambda _: False, idle_secs=60.0)
    assert one.feed(0.0, "a", 1) == []
    assert one.tick(59.0) == []
    [session] = one.tick(60.0)
    assert (session.key, session.first_s, session.last_s) == ("a", 0.0, 0.0)
    assert len(one) == 0


def test_a_session_that_never_falls_silent_is_judged_all_the_same() -> None:
    one = Sessions(lambda _: False, idle_secs=60.0, longest_secs=600.0)
    over = [session for t in range(0, 1900, 10) for session in one.feed(float(t), "user", 1)]
    assert [session.first_s for session in over] == [0.0, 600.0, 1200.0]


@settings(max_examples=25)
@given(st.integers())
def test_the_order_of_lines_of_one_moment_does_not_matter(seed: int) -> None:
    draw, found = Random(seed), lines()
    moved = sorted(found, key=lambda line: (line[0], draw.random()))
    assert fed(moved, idle_secs=15.0) == fed(found, idle_secs=15.0)
    assert any(session.judged.flag for session in fed(found, idle_secs=15.0))


def test_sessions_go_on_where_they_were_saved() -> None:
    found = lines()
    for cut in (0, 1, 333, len(found)):
        one, other = (Sessions(lambda t: t == FAILS, 15.0, warm=20) for _ in range(2))
        before = [session for line in found[:cut] for session in one.feed(*line)]
        other.load(one.save())
        after = [session for line in found[cut:] for session in other.feed(*line)]
        assert before + after + other.flush() == fed(found, idle_secs=15.0)


def test_open_sessions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_OPEN", 50)
    one = Sessions(lambda _: False)
    over = [session for n in range(1000) for session in one.feed(1.0, f"r{n}", 1)]
    assert len(one) == 50
    assert len(over) == 950


def test_a_session_knows_templates_by_what_they_turned_out_to_be() -> None:
    one = Sessions(lambda _: False)
    one.feed(1.0, "a", 1)
    one.feed(1.0, "a", 5)
    one.join({5: 1})
    one.flush()
    assert one.surprise._long.total == {1: 1.0}
    assert one.surprise._long.counts == {1: {2: 1.0}}


# --- which session a line belongs to ---------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('{{"msg":"paid","trace_id":"{id:032x}","span_id":"{n:016x}"}}', "trace id"),
        ("GET /cart TraceID: {id:032x} SpanID: {n:016x} took 12 ms", "trace id"),
        ("[req-{id:08x}-1111-2222] spawned instance", "request in brackets"),
        ("request_id=r{id:06d} status=200", "request id"),
        ("req-{id:06d} step {n} of checkout on node-7", "numbered request"),
        ("[INFO] node-7 (Order#{id}) step {n}", "numbered request"),
        ("blk_-{id:08d}12345 received from 10.0.0.{n}", "numbered name"),
        ("instance 8f5ab1c2-0000-4000-8000-{id:012x} is up", "uuid"),
    ],
)
def test_the_id_that_comes_again_is_found(line: str, name: str) -> None:
    found = [line.format(id=n // 3 + 10**5, n=n) for n in range(300)]
    assert session_keys.find(found) == name


@pytest.mark.parametrize(
    "line", ["worker {n} is up", "trace_id=abcdef0123456789 line {n}", "request_id=r{n:06d} once"]
)
def test_no_session_is_seen_where_no_id_comes_again_or_all_lines_have_it(line: str) -> None:
    assert session_keys.find([line.format(n=n) for n in range(300)]) is None


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("10:00:{sec:02d} node-{few} cart={id} step {n}", "field cart"),
        ('{{"time":"10:00:{sec:02d}","basket":"b{id}x","node":{few},"n":{n}}}', "field basket"),
        ("10:00:{sec:02d} node-{few} P{id} step {n}", "numbered P"),
        ("node-{few} [{id:x}ab-cd] step {n}", "word in brackets"),
    ],
)
def test_whatever_names_sessions_is_found_where_there_are_some(line: str, name: str) -> None:
    found = [line.format(id=n // 3 + 10**6, n=n, few=n % 40, sec=n // 20) for n in range(600)]
    assert session_keys.find(found) is None
    bold = session_keys.find_bold(found)
    assert bold
    assert bold[0] == name
    assert len({key for one in found for key in session_keys.ids(bold[1], one)}) == 200


@pytest.mark.parametrize(
    "line", ["ts={sec} node-{few} port={few} is up", "time: 10:00:{sec:02d} worker-{few} did {n}"]
)
def test_what_is_all_over_is_no_session(line: str) -> None:
    found = [line.format(n=n, few=n % 40, sec=n // 20) for n in range(600)]
    assert session_keys.find_bold(found) is None


def test_the_flag_is_what_it_says() -> None:
    one = taught()
    for counts in (USUAL, USUAL | {4: 1}):
        found = judged(one, counts)
        assert found.flag == (found.score >= FLAG)
        assert bool(found.why) == found.flag
