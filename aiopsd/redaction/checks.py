"""Check digits: what makes a number an account, and not just a number."""

from __future__ import annotations

from typing import Final

_ASCII: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CARDS: Final = (  # ISO/IEC 7812: first digits from, to, lengths
    ("34", "34", (15,)), ("37", "37", (15,)),  # American Express
    ("300", "305", (14,)), ("36", "36", (14,)), ("38", "39", (14,)),  # Diners Club
    ("4", "4", (16,)),  # Visa; of 13 and 19 digits are too many numbers that are none
    ("51", "55", (16,)), ("2221", "2720", (16,)),  # Mastercard
    ("3528", "3589", (16,)),  # JCB
    ("6011", "6011", (16,)), ("644", "659", (16,)),  # Discover
    ("62", "62", (16, 17, 18, 19)),  # UnionPay
    ("50", "50", (16,)), ("56", "58", (16,)), ("63", "63", (16,)), ("67", "67", (16,)),  # Maestro
)  # fmt: skip
IBAN_CHARS: Final = {  # ISO 13616 registry: length by country
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
    "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28,
    "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
    "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20,
    "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30,
    "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22,
    "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28,
    "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1."""
    doubled = sum(sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
    return (doubled + sum(map(int, digits[::-2]))) % 10 == 0


def is_card(digits: str) -> bool:
    """A number that some network may have given out."""
    return any(
        len(digits) in lengths and low <= digits[: len(low)] <= high
        for low, high, lengths in _CARDS
    ) and luhn(digits)


def is_iban(text: str) -> bool:
    """ISO 13616: a country's length, and the remainder 1 modulo 97."""
    if IBAN_CHARS.get(text[:2]) != len(text) or not text.isascii() or not text.isalnum():
        return False
    return int("".join(str(_ASCII.index(c)) for c in text[4:] + text[:4])) % 97 == 1


def is_us_ssn(digits: str) -> bool:
    """No check digit, but whole ranges that were never given out."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def is_brazilian(digits: str) -> bool:
    """CPF: two check digits modulo 11."""
    if len(set(digits)) == 1:
        return False
    for n in (9, 10):
        rest = sum(int(d) * (n + 1 - i) for i, d in enumerate(digits[:n])) * 10 % 11 % 10
        if rest != int(digits[n]):
            return False
    return True


def is_chinese(text: str) -> bool:
    """GB 11643: a date of birth, and ISO 7064 MOD 11-2."""
    rest = sum(int(d) * (2 ** (17 - i) % 11) for i, d in enumerate(text[:17])) % 11
    return is_date(text[6:14]) and text[17].upper() == "10X98765432"[rest]


def is_french(digits: str) -> bool:
    """NIR: sex, month of birth, and 97 minus the rest modulo 97."""
    month = int(digits[3:5])
    return (
        digits[0] in "12" and (1 <= month <= 12 or 20 <= month <= 42)
        and 97 - int(digits[:13]) % 97 == int(digits[13:])
    )  # fmt: skip


def is_finnish(text: str) -> bool:
    """Henkilötunnus ``ddmmyy-nnnc``: the rest modulo 31."""
    digits = text[:6] + text[7:10]
    if not digits.isdecimal() or not is_date(f"20{text[4:6]}{text[2:4]}{text[:2]}"):
        return False
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(digits) % 31] == text[10].upper()


def is_swedish(text: str) -> bool:
    """Personnummer ``yymmdd-nnnc``: Luhn."""
    digits = text[:6] + text[7:]
    return digits.isdecimal() and is_date("20" + text[:6]) and luhn(digits)


def is_date(yyyymmdd: str) -> bool:
    year, month, day = yyyymmdd[:4], yyyymmdd[4:6], yyyymmdd[6:]
    return "1850" <= year <= "2100" and "01" <= month <= "12" and "01" <= day <= "31"
