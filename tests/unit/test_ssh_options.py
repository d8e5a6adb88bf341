"""How ssh is called: what the user has set."""

import pytest

from workers.annex.ssh import wanted_options


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("-p 22 -o 'ProxyCommand=nc %h %p'", ("-p", "22", "-o", "ProxyCommand=nc %h %p")),
        ("-i it's", ("-i", "it's")),
    ],
)
def test_no_setting_is_a_reason_to_crash(text: str, words: tuple[str, ...]) -> None:
    """Shlex raised ValueError for a quote that is left open, in the middle of an exchange."""
    assert wanted_options({"ssh-options": text}) == words
