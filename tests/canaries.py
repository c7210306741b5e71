"""Values that look like secrets and are nobody's: one of each kind, other ones for every place."""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Callable

ALNUM = string.ascii_letters + string.digits
Make = Callable[[random.Random], str]


def word(chars: str, length: int) -> Make:
    return lambda dice: "".join(dice.choices(chars, k=length))


def mixed(chars: str, length: int) -> Make:
    """Of small and capital letters and digits, as random ones nearly always are."""

    def make(dice: random.Random) -> str:
        while True:
            found = "".join(dice.choices(chars, k=length))
            if any(map(str.isdigit, found)) and not (found.islower() or found.isupper()):
                return found

    return make


def with_luhn(digits: str) -> str:
    """One digit more, so that the check holds."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 - place % 2)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


def card(dice: random.Random) -> str:
    begin = dice.choice(["4", "51", "55", "2221", "6011", "34", "37", "36", "62"])
    length = {"3": 15 if begin != "36" else 14}.get(begin[0], 16)
    return with_luhn(begin + "".join(dice.choices("0123456789", k=length - 1 - len(begin))))


IBANS = {"DE": "{n18}", "GB": "{a4}{n14}", "NL": "{a4}{n10}", "FR": "{n20}{a1}{n2}",
         "NO": "{n11}", "IT": "{a1}{n22}", "AT": "{n16}", "MT": "{a4}{n5}{n18}"}  # fmt: skip


def iban(dice: random.Random) -> str:
    country = dice.choice(list(IBANS))
    shape = IBANS[country]
    account = ""
    for part in shape.strip("{}").split("}{"):
        chars = string.digits if part[0] == "n" else string.ascii_uppercase
        account += "".join(dice.choices(chars, k=int(part[1:])))
    number = "".join(str(int(c, 36)) for c in f"{account}{country}00")
    return f"{country}{98 - int(number) % 97:02d}{account}"


def ssn(dice: random.Random) -> str:
    return f"{dice.randint(1, 665):03d}-{dice.randint(1, 99):02d}-{dice.randint(1, 9999):04d}"


def cpf(dice: random.Random) -> str:
    digits = dice.choices(range(10), k=9)
    for n in (9, 10):
        digits.append(sum(d * (n + 1 - i) for i, d in enumerate(digits)) * 10 % 11 % 10)
    text = "".join(map(str, digits))
    return f"{text[:3]}.{text[3:6]}.{text[6:9]}-{text[9:]}"


def chinese(dice: random.Random) -> str:
    text = f"{dice.randint(110000, 659999)}19{dice.randint(50, 99)}0{dice.randint(1, 9)}1"
    text += f"{dice.randint(0, 9)}{dice.randint(0, 999):03d}"
    return text + "10X98765432"[sum(int(d) * (2 ** (17 - i) % 11) for i, d in enumerate(text)) % 11]


def phone(dice: random.Random) -> str:
    country, length = dice.choice([("49", 10), ("1", 10), ("44", 10), ("351", 9), ("81", 9)])
    return f"+{country}{dice.randint(2, 9)}" + "".join(dice.choices("0123456789", k=length - 1))


def jwt(dice: random.Random) -> str:
    def part(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    claims = f'{{"sub":"{word(ALNUM, 12)(dice)}"}}'
    head = dice.choice(['{"alg":"HS256","typ":"JWT"}', '{"typ":"JWT"}', '{"kid":"1"}'])
    return f"{part(head)}.{part(claims)}.{word(ALNUM + '-_', 43)(dice)}"


PASSWORD = mixed(ALNUM + "!$%*+-.:?@_~^#", 12)
TOKENS: dict[str, Make] = {
    "aws": lambda d: "AKIA" + word(string.ascii_uppercase + "234567", 16)(d),
    "google": lambda d: "AIza" + word(ALNUM + "-_", 35)(d),
    "github": lambda d: d.choice(["ghp_", "gho_", "ghs_"]) + word(ALNUM, 36)(d),
    "github-fine": lambda d: "github_pat_" + word(ALNUM, 22)(d) + "_" + word(ALNUM, 59)(d),
    "gitlab": lambda d: "glpat-" + word(ALNUM + "-_", 20)(d),
    "slack": lambda d: f"xoxb-{d.randint(10**11, 10**12)}-{word(ALNUM, 24)(d)}",
    "stripe": lambda d: d.choice(["sk_live_", "rk_test_"]) + word(ALNUM, 24)(d),
    "openai": lambda d: "sk-proj-" + word(ALNUM + "-_", 48)(d),
    "openai-old": lambda d: "sk-" + mixed(ALNUM, 48)(d),
    "anthropic": lambda d: "sk-ant-api03-" + word(ALNUM + "-_", 93)(d),
    "huggingface": lambda d: "hf_" + word(string.ascii_letters, 34)(d),
    "npm": lambda d: "npm_" + word(ALNUM, 36)(d),
    "pypi": lambda d: "pypi-AgEIcHlwaS5vcmc" + word(ALNUM + "-_", 100)(d),
    "sendgrid": lambda d: f"SG.{word(ALNUM + '-_', 22)(d)}.{word(ALNUM + '-_', 43)(d)}",
    "telegram": lambda d: f"{d.randint(10**8, 10**10 - 1)}:AA{word(ALNUM + '-_', 33)(d)}",
    "vault": lambda d: "hvs." + word(ALNUM + "-_", 90)(d),
    "jwt": jwt,
}
PEOPLE: dict[str, Make] = {
    "email": lambda d: f"{word(string.ascii_lowercase, 6)(d)}.{word(ALNUM, 5)(d)}@nest.example",
    "card": card,
    "iban": iban,
    "ssn": ssn,
    "cpf": cpf,
    "chinese": chinese,
    "phone": phone,
}


def of(place: str) -> dict[str, str]:
    """Other ones for every place, and the same in every run."""
    dice = random.Random(place)
    made = {name: make(dice) for name, make in (TOKENS | PEOPLE).items()}
    return made | {
        "password": f"{place}-{mixed(ALNUM, 10)(dice)}",
        "opaque": mixed(ALNUM, 40)(dice),
    }
