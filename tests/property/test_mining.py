"""However lines come in batches, and whenever the state is saved, the templates are the same."""

from hypothesis import given, settings
from hypothesis import strategies as st

from aiopsd.logs.reader import Reader
from aiopsd.logs.templates import Templates

WORDS = ["red", "blue", "started", "stopped", "to", "from", "user", "anna", "app.views", "'x'",
         "eth0", "eth1", "17", "10.0.0.1", "a=b", "RUNNING", "state", "engine", "the", "(main)",
         "/var/log/x", "=", "e_fail", "E_FAIL", "0xff", "…", "true"]  # fmt: skip
LINES = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join), min_size=1, max_size=60
)
CUTS = st.lists(st.integers(1, 20), max_size=20)


def batched(lines: list[str], cuts: list[int]) -> list[list[bytes]]:
    found, at = [], 0
    for size in [*cuts, len(lines)]:
        if lines[at : at + size]:
            found.append([line.encode() for line in lines[at : at + size]])
        at += size
    return found


def ends(batches: list[list[bytes]], *, saving: bool = False) -> tuple[list[int], list[str]]:
    """The id of each line in the end, and the templates."""
    reader, ids = Reader(Templates(500)), []
    for batch in batches:
        ids += reader.ids(batch)
        if saving:
            saved, reader = reader.save(), Reader(Templates(500))
            reader.load(saved)
    canon = [reader.templates.canon(number) for number in ids]
    return canon, [reader.templates.text(number) for number in sorted(set(canon))]


@given(LINES, CUTS)
@settings(max_examples=60, deadline=None)
def test_batches_make_no_difference(lines: list[str], cuts: list[int]) -> None:
    assert ends(batched(lines, cuts)) == ends(batched(lines, []))


@given(LINES, CUTS)
@settings(max_examples=60, deadline=None)
def test_saving_and_loading_makes_no_difference(lines: list[str], cuts: list[int]) -> None:
    batches = batched(lines, cuts)
    assert ends(batches, saving=True)[0] == ends(batches)[0]


@given(st.lists(st.binary(max_size=200), max_size=30))
@settings(deadline=None)
def test_any_bytes_are_lines(lines: list[bytes]) -> None:
    reader = Reader(Templates(20))
    ids = reader.ids(lines)
    assert len(ids) == len(lines)
    assert len(reader.templates) <= 20
    assert all(isinstance(reader.templates.text(number), str) for number in ids)
