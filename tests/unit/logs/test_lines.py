"""A line to what it says: level, message and service."""

import pytest

from aiopsd.logs.lines import Line, first_and_exception, level_of_words, read_json, read_text


def read(text: str) -> Line:
    if text.startswith("{"):
        return read_json(text.encode())
    said = read_text(first_and_exception(text))
    return said if said.level else said._replace(level=level_of_words(text))


@pytest.mark.parametrize(
    ("text", "level", "message"),
    [
        ('{"level":"ERROR","msg":"boom","n":1}', "error", "boom"),
        ('{"a":1,"b":2}', "", "a=<*> b=<*>"),
        ('{"lvl":"fatal","message":"call failed","error":"timeout"}', "critical",
         "call failed: timeout"),
        ('level=warn msg="slow \\"db\\"" ms=3', "warning", 'slow "db"'),
        ("2026-11-23 10:00:00,123 ERROR [main] Connection refused", "error", None),
        ("panic: runtime error", "critical", None),
        ("nothing to see", "", None),
        ("KeyError: 'region'", "error", None),
        ("Traceback (most recent call last):\n  File x\nKeyError: 3", "error", "KeyError: 3"),
        ("Unhandled\n  at one\n  at two", "", "Unhandled"),
        ("the word information in prose a = b", "info", None),
        ('{"broken json', "", '{"broken json'),
        ('{"a":' * 3000 + "1" + "}" * 3000, "", None),  # deeper than any parser goes
        ("x" * 200 + " ERROR far in", "", None),
    ],
)  # fmt: skip
def test_level_and_message(text: str, level: str, message: str | None) -> None:
    line = read(text)
    assert line.level == level
    assert line.message == (text if message is None else message)


JAVA = """ERROR could not save order 17
java.lang.IllegalStateException: no stock
\tat shop.Orders.save(Orders.java:{})
Caused by: java.sql.SQLException: gone"""


def test_a_trace_is_its_first_line_and_the_exception() -> None:
    said = {first_and_exception(JAVA.format(n)) for n in range(9)}
    assert said == {"ERROR could not save order 17 java.lang.IllegalStateException"}
    python = "Traceback (most recent call last):\n  File x, line 3\nshop.Sold: out\n"
    assert first_and_exception(python) == "shop.Sold: out"


def test_pairs_without_a_message_are_prose() -> None:
    line = "conn=1 op=2 SEARCH RESULT tag=101 err=0 nentries=1 text="
    assert read_text(line) == Line("", line)


def test_a_message_may_stand_one_level_down() -> None:
    assert read_json(b'{"ts":1,"jsonPayload":{"message":"boom"}}').message == "boom"


def test_the_cause_is_part_of_what_happened() -> None:
    line = b'{"msg":"call failed","err":"Error: no route\\n  at x (y.js:3)\\n  at z"}'
    assert read_json(line).message == "call failed: Error: no route"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ('{"cause":{"message":"no route"}}', "order failed: no route"),
        ('{"message":"query failed","cause":{"message":"no route"}}',
         "order failed: query failed: no route"),
        ('{"type":"Timeout","code":"E7"}', "order failed: Timeout"),
        ('[{"message":"first"},{"message":"second"}]', "order failed: first"),
        ('{"status":7}', "order failed"),
        ('{"cause":' * 9 + '"deep"' + "}" * 9, "order failed"),
    ],
)  # fmt: skip
def test_a_cause_within_objects_is_told(error: str, said: str) -> None:
    line = read_json(f'{{"level":"error","msg":"order failed","error":{error}}}'.encode())
    assert line.message == said
