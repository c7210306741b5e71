"""What a label says is data, wherever it ends up."""

import pytest

from aiopsd.errors import Refused
from aiopsd.remediation.stepping import _refuse_options


@pytest.mark.parametrize("word", ["-rf", "--output=/etc/passwd", "--"])
def test_a_filled_in_word_never_becomes_an_option(word: str) -> None:
    with pytest.raises(Refused, match="takes as an option"):
        _refuse_options({"argv": ["./x", "${root.service}"]}, {"argv": ["./x", word]})
    with pytest.raises(Refused):
        _refuse_options({"probe_argv": ["./x", "${root.service}"]}, {"probe_argv": ["./x", word]})


def test_options_that_the_author_wrote_are_fine() -> None:
    written = {"argv": ["./x", "--name=${root.service}", "--", "${root.service}"], "stdin": "-"}
    _refuse_options(written, {"argv": ["./x", "--name=-rf", "--", "api"], "stdin": "-"})
