"""Secrets go to the executor and nowhere else, in whatever form they come back."""

import base64
import json
from urllib.parse import quote

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.remediation.schema import Param
from aiopsd.remediation.vault import Vault, new_marks

PARAMS = {"key": Param(type="secret", from_="credential:k"), "n": Param(type="int", default=1)}


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=4, max_size=30),
    st.text("abc ", max_size=10),
)
def test_no_form_of_a_secret_is_written(secret: str, words: str) -> None:
    marks = new_marks(PARAMS)
    assert set(marks) == {"key"}
    vault = Vault(PARAMS, marks, {"k": secret}.__getitem__)
    opened = vault.open({"a": [f"Bearer {marks['key']}", 3], "b": {"c": marks["key"]}})
    assert opened == {"a": [f"Bearer {secret}", 3], "b": {"c": secret}}
    said = {
        "plain": words + secret + words,
        "json": json.dumps({"k": secret}),
        "url": quote(secret, safe=""),
        "basic": base64.b64encode(secret.encode()).decode(),
        secret: [marks["key"]],
    }
    clean = vault.clean(said)
    assert clean["plain"] == f"{words}***{words}" or secret in words
    assert clean["url"] == clean["basic"] == "***"
    assert clean["***"] == ["***"]
    assert json.dumps(secret)[1:-1] not in clean["json"]


def test_inputs_keep_their_marks_for_the_next_life() -> None:
    marks = new_marks(PARAMS)
    vault = Vault(PARAMS, marks, {"k": "s3cret"}.__getitem__)
    inputs = {"token": marks["key"]}
    assert vault.open(inputs) == {"token": "s3cret"}
    assert vault.clean_inputs(inputs) == inputs


def test_a_long_text_keeps_its_end() -> None:
    text = Vault({}, {}, str).clean("a" * 9000 + "the end")
    assert len(text) < 8010
    assert text.endswith("the end")


def test_what_is_written_is_json() -> None:
    odd = {1: (float("nan"), b"x"), "\ud800": "half a character \ud800"}
    clean = Vault({}, {}, str).clean(odd)
    assert clean == {"1": [None, "b'x'"], "?": "half a character ?"}
    assert msgspec.json.encode(clean)
