"""What a value looks like, and what only looks like one."""

import pytest

from aiopsd.logs.words import BLOB, Words, named, readable, together


def mask(text: str) -> str:
    return together(Words().mask(text))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("took 15ms for order 7731", "took <num> for order <num>"),
        ("from 10.0.0.17:5432 to fe80:0:0:0:1:2:3:4", "from <ip> to <ip>"),
        ("id 123e4567-e89b-12d3-a456-426614174000 gone", "id <uuid> gone"),
        ("at 0xdeadbeef in deadbeef0 cafe", "at <hex> in <hex> cafe"),
        ("GET /api/orders/17 HTTP/1.1", "GET <path>"),
        ("to db-1.example.com:5432 by https://x.example/a?b=1", "to <host> by <url>"),
        ("deleting blk_1 blk_-333", "deleting <id> <id>"),
        ("mail to ann@shop.example, please", "mail to <mail>, please"),
        ("<email:3f9a2c04be> logged in", "<email> logged in"),
        ("at 2026-11-23T10:00:00.123Z or 2026-11-23 10:00:00,5", "at <time> or <time>"),
        ("on Mon Nov 23 10:00:00 UTC 2026 it rained", "on <time> it rained"),
        ("size 12 bytes (3 KB)", "size <size>"),
        ("is it true = None", "is it <bool> = <bool>"),
        ("core 1 2 3 4 5 6 7 8 9 done", "core <list> done"),
        ("no values here", "no values here"),
        ("%SYS-5-CONFIG_I: ok", "%SYS-0-CONFIG_I: ok"),
        ("w" * 500 + "1", BLOB),
        ("", ""),
    ],
)
def test_masks(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_digits_make_no_difference_to_what_is_remembered() -> None:
    words = Words()
    assert words.mask("port 80") == words.mask("port 31") == "port <num>"
    assert len(words._masks) == 2


def test_a_digit_among_letters_is_shown_while_it_never_varies() -> None:
    assert named("eth0 and log4j, not 17 nor a12") == ["eth0", "log4j"]
    assert readable(["eth<n>", " log0j"], {"eth<n>": "eth0", "log0j": "log4j"}) == "eth0 log4j"
    assert readable(["eth<n>"], {"eth<n>": ""}) == "<id>"
