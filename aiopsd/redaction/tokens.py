"""Keys and tokens that say themselves whose they are. Prefixes: the providers' documentation, the
plugins of detect-secrets 1.5 and the rules of gitleaks 8."""

from __future__ import annotations

import re
from typing import Final

from aiopsd.redaction.detector import Detector, matching, near, searching, taken

_WORD: Final = r"[\w-]{16,512}+"
_ALNUM: Final = r"[A-Za-z0-9]{16,512}+"
_PREFIXES: Final = (
    # cloud
    ("AKIA ASIA ABIA ACCA", r"[A-Z0-9]{12,124}+"),  # AWS
    ("AIza", r"[\w-]{30,64}+"), ("ya29.", r"[\w.-]{20,2048}+"), ("GOCSPX-", _WORD),  # Google
    ("dop_v1_ doo_v1_ dor_v1_", r"[0-9a-f]{32,128}+"), ("HRKU-", _WORD),
    ("atlasv1. .atlasv1.", r"[\w=-]{32,256}+"), ("hvs. hvb. hvr.", r"[\w-]{20,512}+"),  # HashiCorp
    ("dapi", r"[0-9a-f]{32}[\w-]{0,8}+"), ("sbp_ pscale_tkn_ pscale_pw_", _WORD),
    # code
    ("ghp_ gho_ ghu_ ghs_ ghr_", r"[A-Za-z0-9_]{20,255}+"), ("github_pat_", r"\w{20,255}+"),
    ("glpat- gldt- glrt- glptt- glft- glsoat- glimt- glagent- gloas- glcbt- glffct-",
     r"[\w.-]{16,512}+"),
    ("npm_", r"[A-Za-z0-9]{30,64}+"), ("pypi-AgE pypi-AgN", r"[\w-]{30,1024}+"),
    ("rubygems_", r"[0-9a-f]{32,64}+"), ("dckr_pat_ dckr_oat_", _WORD), ("AKCp", _ALNUM),
    ("sqp_ squ_ sqa_", r"[0-9a-f]{32,64}+"), ("ATATT3 ATCTT3", r"[\w=-]{20,512}+"),
    ("PMAK-", r"[0-9a-f-]{32,128}+"), ("lin_api_", _ALNUM), ("figd_", _WORD),
    # people and money
    ("xoxa- xoxb- xoxc- xoxd- xoxe- xoxo- xoxp- xoxr- xoxs- xoxe.xox xapp- xwfp-",
     r"[\w.%-]{8,512}+"),
    ("sk_live_ sk_test_ rk_live_ rk_test_ pk_live_", r"[A-Za-z0-9]{10,255}+"),
    ("whsec_", r"[\w+/=]{16,256}+"), ("sq0atp- sq0csp- sq0idp-", _WORD),
    ("EAAA", r"[\w-]{50,128}+"),
    ("shpat_ shpca_ shppa_ shpss_", r"[0-9a-fA-F]{32,64}+"),
    ("SG.", r"[\w-]{16,64}+\.[\w-]{16,128}+"), ("key-", r"[0-9a-f]{32}+(?![\w-])"),
    # models
    ("sk-ant- sk-proj- sk-or-v1- sk-svcacct- sk-admin- sk-lf- pk-lf-", _WORD),
    ("sk-", r"(?=[A-Za-z]{0,64}+\d)[A-Za-z0-9]{20,512}+"), ("hf_", r"[A-Za-z0-9]{24,64}+"),
    ("gsk_ pplx- nvapi- xai-", r"[\w-]{20,128}+"), ("r8_", r"[A-Za-z0-9]{30,64}+"),
    # others
    ("glsa_ glc_", r"[\w=+/-]{20,512}+"), ("NRAK- NRII- NRJS-", _WORD),
    ("sntrys_ sntryu_", r"[\w=+/-]{20,512}+"), ("AGE-SECRET-KEY-", r"[0-9A-Z]{20,128}+"),
    ("dp.pt. dp.st. dp.ct.", r"[\w.]{20,128}+"), ("fo1_ fm2_", r"[\w+/=-]{20,1024}+"),
)  # fmt: skip
_FOLD: Final = str.maketrans("123456789", "000000000")


def _detector(prefixes: str, rest: str) -> Detector:
    names = prefixes.split()
    begin = "|".join(map(re.escape, names))
    pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{begin}){rest}")
    anchors = near(*(name.lower().translate(_FOLD) for name in names))
    return Detector("token", anchors, matching("token", pattern))


def _has_letters(found: re.Match[str]) -> str | None:
    return taken(found) if any(c.isalpha() for c in found[0][9:]) else None


_JWT: Final = re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]{8,8192}+(?:\.[\w-]{0,8192}+){1,4}+")
_TELEGRAM: Final = re.compile(r"(?<!\d)(?<![.:])\d{8,10}:AA[\w-]{30,40}+")
_AZURE: Final = re.compile(r"(?<![\w.~-])[\w.~-]{3}\dQ~[\w.~-]{31,34}+")
_MAILCHIMP: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}-us\d{1,2}(?!\w)")

TOKENS: Final = (
    *(_detector(*row) for row in _PREFIXES),
    Detector("token", near("eyj"), matching("token", _JWT)),
    Detector("token", near("00000000:aa"), searching("token", _TELEGRAM, _has_letters), whole=True),
    Detector("token", near("0q~"), searching("token", _AZURE), whole=True),
    Detector("token", near("-us0"), searching("token", _MAILCHIMP), whole=True),
)
