"""Secrets of a few digits or many words, hashes of passwords, and ordinary lines beside them."""

import pytest

from aiopsd.redaction import Redactor

WORDS = "abandon ability able about above absent absorb abstract absurd abuse access accident"
BCRYPT = "$2b$12$KIXQ4J5Zx8l3k9o0pQ1rSeuvW2xYz3aBcD4eFgH5iJkLmNoPqRsTu"
CRYPT = "$6$saltsalt$abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
ARGON = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b5dWRWJTmaaObG"
BASIC = "Ym9iOmh1bnRlcjJwYXNz"  # bob:hunter2pass


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("otp=123456", "123456"),
        ('{"otp":"482913"}', "482913"),
        ("otp 482913 accepted", "482913"),
        ("pin=1234", "1234"),
        ("pin: 4821", "4821"),
        ("userPin=4821", "4821"),
        ("cvv=123", "123"),
        ('cardCvv: "123"', "123"),
        ("cvv2=9123", "9123"),
        ("verification code: 482913", "482913"),
        ("one-time code 482913", "482913"),
        ("Your security code is 482913.", "482913"),
        ("psw=hunter2", "hunter2"),
        ("pwrd=abcdefg1", "abcdefg1"),
        ("passwrd=hunter2", "hunter2"),
        ("pass phrase: hunter22", "hunter22"),
        (f'seed_phrase="{WORDS}"', "ability"),
        (f"seed phrase: {WORDS}", "accident"),
        ("connect.sid=s%3AabcDEF123456ghi789", "abcDEF123456"),
        ("sid=a1b2c3d4e5f60718", "a1b2c3d4e5f60718"),
        ("userPassword:: aHVudGVyMg==", "aHVudGVyMg"),
        ("rootpw {SSHA}bB5c4Xx9dYk2Zq8LrT0u3w==", "bB5c4Xx9dYk2Zq8LrT0u3w"),
        (f"hash {BCRYPT} stored", BCRYPT),
        (f"root:{CRYPT}:19000:0:", CRYPT),
        (f"stored {ARGON}", "RdescudvJCsgt3ub"),
        (f'{{"auths":{{"r.io":{{"auth":"{BASIC}"}}}}}}', BASIC),
        ("a1 AUTHENTICATE PLAIN AHVzZXIAcGFzcw==", "AHVzZXIAcGFzcw"),
        ("AUTH PLAIN AHVzZXIAcGFzcw==", "AHVzZXIAcGFzcw"),
        ("GET /reset?code=a8f3Kd92LmQ01zX7 200", "a8f3Kd92LmQ01zX7"),
        ('mysql -p"abc""def9x" db', "def9x"),
    ],
)
def test_taken_out(line: str, secret: str) -> None:
    assert secret in line
    assert secret not in Redactor().text(line)


@pytest.mark.parametrize(
    "line",
    [
        "credentials=include", "credentials: same-origin", "docker run -u 1000:1000 img",
        "pin=12 mode=out", "gpio pin=27 value=1", "sid=ORCL", "spinning pin: 3", "sid=0x3e7",
        "sid=S-1-5-21-3623811015-3361044348-30300820-1013", "auth: none", "exit code=200",
        "?code=404&x", "?code=ERR_TOO_MANY_TRIES", "mapping: 1234", "pid=1234 sid=1234",
        "AUTH LOGIN failed", "AUTH PLAIN mechanism", "AUTH LOGIN Rejected", "GET /a?state=running",
        '{"auth":"none"}', '"auth":"required"', "seed: 42", "recovery: done in 3 s",
        "backup: nightly full of db one two three", "confirmation code sent", "ping: 1234 ms",
        "verification code expired", "2fa code missing", "it costs $5 each", "the {sha} digest",
        "otp 5 of 7 tried", "pin 1234 of the chip", "typing=123456",
    ],
)  # fmt: skip
def test_left(line: str) -> None:
    assert Redactor().text(line) == line
