"""Lines become one template when a word varies, and stay apart when it tells events apart."""

import pytest

from aiopsd.logs.reader import Reader
from aiopsd.logs.templates import OTHER, Templates


def reader(limit: int = 100, keep_secs: float = 0.0) -> Reader:
    return Reader(Templates(limit, keep_secs))


def mined(*lines: str) -> list[str]:
    """The template of each line, in the end."""
    one = reader()
    return [one.templates.text(number) for number in one.ids([line.encode() for line in lines])]


@pytest.mark.parametrize(
    ("pattern", "words", "template"),
    [
        ("user {} logged in", "ann", "user <*> logged in"),
        ("(root) CMD at {}", "noon", "(<*>) CMD at noon"),
        ("reloading module {} again", "views models", "reloading module <*> again"),
        ("pool '{}' is too small", "main spare test", "pool '<*>' is too small"),
        ("the {} engine was warm", "red blue dark slow", "the <*> engine was warm"),
        ("reload of {} is over", "app.views app.models db.pool", "reload of <*> is over"),
        ("sent it to {} for now", "anna bob", "sent it to <*> for now"),
        ("open vhost '{}' please", "/ shop test", "open vhost '<*>' please"),
        ("backend {} went away", "blue-pool green-pool", "backend <*> went away"),
        ("wlan{}: it is gone", "0", "wlan0: it is gone"),
        ("from {} it came", "10.0.0.1 gateway", "from <*> it came"),
        ("via eth{} again", "0 0", "via eth0 again"),
        ("via eth{} again", "0 1", "via <id> again"),
        ("a tty={} b uid=0", "ssh", "a tty=ssh b uid=<num>"),
        ("a tty={} b uid=0", "ssh pts", "a tty=<*> b uid=<num>"),
        ("here: {}, host gone", "shop.example _", "here: <*>, host gone"),
        ("queue {} is it", "order.placed order.paid", "queue <*> is it"),
        ("logname= uid={} euid=0", "0", "logname= uid=<num> euid=<num>"),
    ],
)
def test_what_varies(pattern: str, words: str, template: str) -> None:
    found = mined(*(pattern.format(word) for word in words.split()))
    assert set(found) == {template}


def test_where_one_word_varies_two_may() -> None:
    names = ["clicks", "orders", "my job", "views", "other flow"]
    lines = [f"could now restore {name} as it was last night" for name in names]
    assert set(mined(*lines, *lines)[len(lines) :]) == {
        "could now restore <*> as it was last night"
    }


@pytest.mark.parametrize(
    "lines",
    [
        ("service payments started in north", "service payments stopped in north"),
        ("interface is up", "interface is down"),
        ("changed state to up", "changed state to down", "changed state to testing"),
        ("GET of it took 5", "POST of it took 5", "PUT of it took 5", "HEAD of it took 5"),
        ("lock acquired by 17", "lock released by 17"),
        ("failed with E_FAIL code", "failed with E_ACCESS code", "failed with E_MANIFEST code"),
    ],
)
def test_events_stay_apart(lines: tuple[str, ...]) -> None:
    assert len(set(mined(*lines))) == len(lines)


def test_several_names_vary_together() -> None:
    """No two of these lines differ in one place only."""
    names = zip("abcdef", "uvwxyz", strict=True)
    lines = [f"move '{one}' on shelf '{other}' by hand" for one, other in names]
    assert set(mined(*lines)) == {"move '<*>' on shelf '<*>' by hand"}


def test_what_was_a_value_elsewhere_is_sooner_one_here() -> None:
    taught = [f"welcome {name} to the house" for name in ("anna", "bob", "kim", "zoe")]
    lines = [f"{name} drowned" for name in ("anna", "bob", "kim")]
    assert len(set(mined(*lines))) == 3
    assert set(mined(*taught, *lines)) == {"welcome <*> to the house", "<*> drowned"}


def test_an_id_stays_and_the_younger_become_its_aliases() -> None:
    one = reader()
    first = one.ids([b"the red engine was warm"])
    before = [one.ids([b"the %b engine was warm" % word])[0] for word in (b"blue", b"dark")]
    assert first + before == [0, 1, 2]
    assert one.ids([b"the slow engine was warm"]) == [0]
    assert one.ids([b"the blue engine was warm"]) == [0]
    assert [one.templates.canon(number) for number in (0, 1, 2)] == [0, 0, 0]
    assert len(one.templates) == 1


def test_the_least_lately_seen_goes() -> None:
    one = reader(limit=2)
    for line, number in ((b"first kind", 0), (b"second sort", 1), (b"first kind", 0)):
        assert one.ids([line]) == [number]
    assert one.ids([b"third thing"]) == [2]
    assert 0 in one.templates
    assert 1 not in one.templates
    assert one.ids([b"second sort"]) == [3]  # ids are never used again


def test_a_full_table_waits() -> None:
    one = reader(limit=1, keep_secs=60.0)
    assert [known.template for known in one.read([b"first", b"second"], time_s=0.0)] == [0, OTHER]
    assert one.read([b"second"], time_s=59.0)[0].template == OTHER
    assert one.read([b"second"], time_s=61.0)[0].template == 1


def test_saved_and_loaded_it_goes_on_as_before() -> None:
    lines = [b"the %b engine was warm" % word for word in (b"red", b"blue", b"dark", b"slow")]
    one, other = reader(), reader()
    one.ids(lines[:3])
    other.load(one.save())
    assert other.ids(lines[3:]) == one.ids(lines[3:]) == [0]
    assert other.templates.text(2) == one.templates.text(2) == "the <*> engine was warm"
    assert other.save() == one.save()
    for garbage in (b"", b"garbage", one.save()[:-3]):
        with pytest.raises(ValueError, match=r"."):
            reader().load(garbage)
