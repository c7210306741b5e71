"""The pitfalls of the engine, each held: an error is never true, and nothing odd gets in."""

import datetime
import math
import operator
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.remediation.expressions import ExpressionError, compiled, pieces, render, true, value
from aiopsd.remediation.reads import comparisons, reads

COMPARE = {"<": operator.lt, ">": operator.gt, "<=": operator.le, "==": operator.eq}
CONTEXT: dict[str, Any] = {
    "incident": {"age_s": 90.0, "kind": "error-rate", "title": "90", "services": ["shop", "db"]},
    "root": {"score": 0.9, "labels": {"a-b": "x"}},
    "change": None,
    "metric": {"empty": None, "nan": math.nan, "inf": math.inf},
    "params": {"step": 2, "on": True, "name": "n", "empty": ""},
    "value": 0.5,
    "baseline": 1.0,
    "now_s": 1e9,
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("root.score > 0.8 && incident.age_s < 2 * minute", True),
        ("root.score > 1", False),  # numbers of different kinds compare, below a root
        ("incident.services.exists(s, s == 'db')", True),
        ("size(incident.services)", 2),
        ("root.labels['a-b']", "x"),
        ("has(root.labels.zone)", False),
        ("change == null", True),
        ("change != null && change.kind == 'deploy'", False),  # null is guarded by `&&`
        ("value <= baseline * 1.2 + 0.1", True),
        ("params.step * 2", 4),
        ("incident.services", ["shop", "db"]),
        ("'a}b' + \"{\"", "a}b{"),
        ("null", None),
    ],
)
def test_gives_python_values(text: str, wanted: object) -> None:
    found = value(text, CONTEXT)
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("incident.scroe > 1", "there is no `incident.scroe`"),
        ("change.kind == 'deploy'", "`change` is null"),
        ("has(change.kind)", "`change` is null"),
        ("metric.empty > 1.0", "`metric.empty` is null"),
        ("metric.nan > 1.0", "`metric.nan` is null"),
        ("!(metric.nan > 1.0)", "`metric.nan` is null"),
        ("metric.inf > 1.0", "`metric.inf` is null"),
        ("incident.title > 85", "`>` does not work on text and a whole number"),
        ("1 / 0 == 1", "divide by zero"),
        ("target.level > 1", "there is no `target`"),
        ("root.score ? 1 : 2", "No matching overloads"),
        ("1.0 / 0.0", "no finite number"),
        ("duration('30m')", "gives a timedelta"),
        ("b'abc'", "gives a bytearray"),
    ],
)
def test_an_error_is_raised_and_never_a_value(text: str, why: str) -> None:
    with pytest.raises(ExpressionError, match=why.replace("(", r"\(")):
        value(text, CONTEXT)


@pytest.mark.parametrize("text", ["incident.title", "1", "null", "root.labels", "'true'"])
def test_a_condition_is_true_or_false_and_nothing_else(text: str) -> None:
    with pytest.raises(ExpressionError, match="not true or false"):
        true(text, CONTEXT)


@pytest.mark.parametrize(
    ("text", "column", "why"),
    [
        ("rot.score > 1", 1, "nothing is called `rot`"),
        ("true && rot.a.b > 1", 9, "nothing is called `rot`"),
        ("value < 'high'", 7, "`<` does not work on a decimal number and text"),
        ("value < 1", 7, "write 1.0 instead of 1"),
        ("value <", 8, "ends too early"),
        ("value &&& 1", 9, "not understood"),
        ("value == 'x", 10, "not understood"),
        ("value <\n 'a'", None, "`<` does not work"),
        ("incident.?kind", 1, "unsupported syntax"),
        ("open('/etc/passwd')", 5, "nothing is called `open`"),
        ("'" + "a" * 2100 + "'", None, "longer than 2048 bytes"),
    ],
)
def test_a_fault_is_found_when_compiling_with_its_column(
    text: str, column: int | None, why: str
) -> None:
    with pytest.raises(ExpressionError, match=why) as caught:
        compiled(text)
    if column is not None:
        assert caught.value.column == column


@pytest.mark.parametrize(
    "odd", [datetime.timedelta(1), datetime.datetime.now(datetime.UTC), object(), {1}, 2**70, (1,)]
)
def test_whatever_stands_in_the_context_is_json_when_it_gets_in(odd: object) -> None:
    assert true("incident.odd != null", {"incident": {"odd": odd}})


def test_evaluation_is_bounded() -> None:
    big = {"incident": {"a": list(range(2000))}}
    with pytest.raises(ExpressionError, match="stopped: Iteration budget exceeded"):
        value("incident.a.all(x, incident.a.all(y, y >= 0))", big)


@given(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(["<", ">", "<=", "=="]))
def test_no_comparison_with_a_hole_is_true(number: float, sign: str) -> None:
    text, context = f"metric.m {sign} 1.0", {"metric": {"m": number}}
    if math.isfinite(number):
        assert true(text, context) is COMPARE[sign](number, 1.0)
    elif sign == "==":
        assert true(text, context) is False
    else:
        with pytest.raises(ExpressionError):
            true(text, context)


def test_the_engine_waits_for_the_first_expression() -> None:
    code = (
        "import sys, aiopsd.remediation.runner, aiopsd.remediation.playbook\n"
        "print([m for m in sys.modules if m.startswith('cel_expr')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- ${...} -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("${params.step}", 2),
        (" ${params.step}", " 2"),
        ("${params.on}", True),
        ("x=${params.on}", "x=true"),
        ("${metric.empty}", None),
        ("${incident.services}", ["shop", "db"]),
        ("$${params.step}", "${params.step}"),
        ("a$${b} ${params.name} $c {d}", "a${b} n $c {d}"),
        ("${'}'}${\"{\"}", "}{"),
        ("${ {'a': 1}['a'] }", 1),
        ("no expression", "no expression"),
        (
            {"a": ["${params.step}", {"b": "${params.name}!"}], "c": 3},
            {"a": [2, {"b": "n!"}], "c": 3},
        ),
    ],
)
def test_a_text_that_is_one_expression_keeps_its_type(template: Any, wanted: Any) -> None:
    found = render(template, CONTEXT)
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("host-${metric.empty}", "is null"),
        ("host-${params.empty}", "is empty"),
        ("host-${incident.services}", "is not a single value"),
        ("host-${incident.nmae}", "there is no `incident.nmae`"),
        ("host-${params.step", "never closed"),
    ],
)
def test_half_a_name_is_nobodys_name(template: str, why: str) -> None:
    with pytest.raises(ExpressionError, match=why):
        render(template, CONTEXT)


def test_pieces_know_where_they_stand() -> None:
    assert [(p.text, p.expression, p.column) for p in pieces("a ${b} $${c} ${d}")] == [
        ("a ", False, 1),
        ("b", True, 5),
        (" ${c} ", False, 1),
        ("d", True, 16),
    ]


@given(st.text(st.characters(exclude_characters="$"), max_size=40))
def test_a_text_without_expressions_stays_as_it_is(text: str) -> None:
    assert render(text, {}) == text
    assert text.startswith("{") or render("$" + text, {}) == "$" + text


# --- what is read -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("incident.kind == 'root.x' && root.labels['a.b']", ["incident.kind", "root.labels.a.b"]),
        ("incident.services.all(run, run.x > 1)", ["incident.services"]),
        ("root.labels.name.endsWith('.service')", ["root.labels.name"]),
        ("has(target.x) ? target.x : 2 * minute", ["target.x", "target.x"]),
        ("root.labels[params.name]", ["root.labels", "params.name"]),
        ("{'a': params.x, run: 1}", ["params.x"]),
        ("value < 1.5e9 // incident.x", ["value"]),
    ],
)  # fmt: skip
def test_reads(text: str, wanted: list[str]) -> None:
    assert [str(read) for read in reads(text)] == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("root.kind == 'a' && (root.id != 'b')", [("root.kind", ("a",)), ("root.id", ("b",))]),
        ("incident.kind in ['a', \"b\"] || false", [("incident.kind", ("a", "b"))]),
        ("!(incident.kind == 'a')", [("incident.kind", ("a",))]),
        ("!incident.on == 'a'", []),
        ("'x' + incident.kind == 'a'", []),
        ("incident.kind == 'a' + 'b'", []),
        ("incident.kind in params.kinds", []),
    ],
)  # fmt: skip
def test_comparisons_that_are_provable(text: str, wanted: list[Any]) -> None:
    assert [(str(c.read), c.literals) for c in comparisons(text)] == wanted
