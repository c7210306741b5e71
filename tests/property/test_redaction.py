"""Secrets of every kind in every notation are found, once, and nothing else changes."""

import random
from base64 import b64encode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aiopsd.redaction import Names, Redactor
from tests.canaries import PASSWORD, PEOPLE, TOKENS, mixed, word

REDACTOR = Redactor(Names(b"k" * 32))
NAMED = (
    "password={}", "password: {}", 'password="{}"', "'password': '{}'", '{{"password": "{}"}}',
    '{{"a":{{"db_password":"{}","n":1}}}}', '{{\\"password\\":\\"{}\\"}}', "--password {}",
    "--password={}", "--db-password '{}' -v", "/login?user=a&password={}&x=1", "PASSWORD={} make",
    "passwd={}", "api_key={}", "X-Api-Key: {}", '"apiKey":"{}"', "client_secret={}", "pwd={}",
    "Authorization: Bearer {}", '"Authorization":"Bearer {}"', "map[Authorization:[Bearer {}]]",
    "authorization=token {}", "Cookie: session={}; theme=dark", "Set-Cookie: sid={}; Path=/",
    "https://app:{}@db.example/x", "postgres://app:{}@db/x?sslmode=off", "token={}",
    'token: "{}"', "secret = {}", "DB_PASSWORD='{}'", "ALTER USER app PASSWORD '{}'",
    "password => {}", "jdbc:db://h;user=a;password={};x", "AccountKey={};EndpointSuffix=x",
    "<password>{}</password>", "curl -u app:{} http://h", "mysql --user=a --password={}",
    'level=info msg="login" password={} n=1', "credentials: {}", 'secret_key_base: "{}"',
    "passphrase={}", "refresh_token={}", "AWS_SECRET_ACCESS_KEY={}", "aws.secretKey: {}",
)  # fmt: skip
AROUND = (
    "{}", "user {} logged in", "user={}", '{{"user": "{}"}}', "<{}>", "[{}]", "({})", "'{}'",
    "a,{},b", "key: {}.", "2026-11-23T10:00:00Z INFO id={} ok", "a\t{}\tb", "x={};y=1",
    "/search?q={}&n=1", 'msg="from {}"', "{} {}", "café {} naïve",
    '{{"m": "a\\n{}\\tb"}}', '{{"m": "\\u003c{}\\u003e"}}', r'msg="a\r\n{}\n"',
)  # fmt: skip
ORDINARY = """
GET /api/v1/orders/17 took 15ms blk_-1608999687919862906 10.0.0.17:5432 level=info user v1.2.3
2026-11-23T10:00:00.123Z 1700000000000000000 123e4567-e89b-12d3-a456-426614174000 error password
token expired required max_tokens=512 pod orders-7f9c4d5b8-x2x9z {} [] +0000 081109 203518 143
sessionid:0x14f05578bd80001 Object@1b2c3d getty@tty1.service attempt_1445062781478_0011_m_000001_0
sha256:9f86d081884c7d659a2feaa0c55ad015
"""
WORDS = st.lists(st.sampled_from(ORDINARY.split()), max_size=12).map(" ".join)
SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize("notation", NAMED)
@settings(max_examples=30)
@given(seed=SEEDS, before=WORDS, after=WORDS)
def test_what_stands_behind_a_name(notation: str, seed: int, before: str, after: str) -> None:
    dice = random.Random(seed)
    secret = PASSWORD(dice)
    clean = REDACTOR.text(f"{before} {notation.format(secret)} {after}")
    assert secret not in clean
    assert "<secret>" in clean


@pytest.mark.parametrize("name", [*TOKENS, *PEOPLE])
@given(around=st.sampled_from(AROUND), seed=SEEDS, before=WORDS, after=WORDS)
def test_what_has_looks_of_its_own(
    name: str, around: str, seed: int, before: str, after: str
) -> None:
    made = (TOKENS | PEOPLE)[name](random.Random(seed))
    line = f"{before} {around.format(made, made)} {after}"
    clean = REDACTOR.text(line)
    assert made not in clean, clean
    assert clean.startswith(before)
    assert clean.endswith(after)


@given(seed=SEEDS, before=WORDS)
def test_basic_authorization_and_random_words(seed: int, before: str) -> None:
    dice = random.Random(seed)
    user = b64encode(f"app:{PASSWORD(dice)}".encode()).decode()
    key = mixed("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 64)(dice)
    clean = REDACTOR.text(f"{before} Basic {user} and {key}")
    assert user.rstrip("=") not in clean
    assert key not in clean


LETTERS = st.text(st.characters(categories=["L", "N"]), min_size=8, max_size=40)  # of any script


@given(st.sampled_from([*NAMED, "basic {}", "digest {}"]), st.one_of(LETTERS, st.text(max_size=40)))
@settings(max_examples=1000)
@example("basic {}", "Qualitätsprüfung")
@example("--password {}", "=0")
def test_no_letters_break_it(notation: str, value: str) -> None:
    """A line that did would be read again after each restart. Where its quotes do not fit, a second
    reading may take out a little more, and then no more."""
    clean = REDACTOR.text(REDACTOR.text(notation.format(value)))
    assert REDACTOR.text(clean) == clean


@given(st.lists(st.one_of(st.text(max_size=60), WORDS, st.sampled_from(NAMED)), max_size=6))
def test_what_was_redacted_stays_as_it_is(parts: list[str]) -> None:
    clean = REDACTOR.text(" ".join(parts))
    assert REDACTOR.text(clean) == clean


@given(WORDS)
def test_what_is_nobodys_stays(line: str) -> None:
    assert REDACTOR.text(line) == line


@given(st.lists(st.one_of(st.text(max_size=80), WORDS), max_size=400), SEEDS)
def test_lines_together_are_as_lines_alone(lines: list[str], seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(3):
        made = dice.choice(list((TOKENS | PEOPLE).values()))(dice)
        lines.insert(dice.randint(0, len(lines)), f'user={made} password="{word("abc", 9)(dice)}"')
    assert list(REDACTOR.lines(lines)) == [REDACTOR.text(line) for line in lines]
