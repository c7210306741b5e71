"""Check digits, by numbers that their issuers publish as examples."""

import pytest

from aiopsd.redaction import checks


@pytest.mark.parametrize(
    "number",
    ["4111111111111111", "5555555555554444", "2223003122003222", "378282246310005",
     "6011111111111117", "30569309025904", "3530111333300000", "6200000000000005"],
)  # fmt: skip
def test_cards(number: str) -> None:
    assert checks.is_card(number)
    assert not checks.is_card(number[:-1] + str((int(number[-1]) + 1) % 10))
    assert not checks.is_card("1" + number[1:])
    assert not checks.is_card(number + "0")


@pytest.mark.parametrize(
    "account",
    ["DE89370400440532013000", "GB82WEST12345698765432", "FR1420041010050500013M02606",
     "NO9386011117947", "MT84MALT011000012345MTLCAST001S", "LC55HEMM000100010012001200023015"],
)  # fmt: skip
def test_ibans(account: str) -> None:
    assert checks.is_iban(account)
    assert not checks.is_iban(account[:-1] + ("0" if account[-1] != "0" else "1"))
    assert not checks.is_iban(account[:-1])
    assert not checks.is_iban("XX" + account[2:])


def test_national_ids() -> None:
    assert checks.is_us_ssn("078051120")
    assert not checks.is_us_ssn("666051120")
    assert checks.is_brazilian("52998224725")
    assert not checks.is_brazilian("52998224724")
    assert not checks.is_brazilian("11111111111")
    assert checks.is_chinese("11010519491231002X")
    assert not checks.is_chinese("110105194912310021")
    assert checks.is_french("255081416802538")
    assert not checks.is_french("255081416802539")
    assert checks.is_finnish("131052-308T")
    assert not checks.is_finnish("131052-308U")
    assert checks.is_swedish("811218-9876")
    assert not checks.is_swedish("811218-9877")
