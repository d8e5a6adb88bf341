"""Where a url leads."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.annex.remoteurl import Address, Helper, LocalPath, Ssh, Web, parse, rewrite

TOP, HOME = Path("/work/tree"), Path("/home/me")


def local(path: str) -> LocalPath:
    return LocalPath(Path(path))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("/srv/x", local("/srv/x")),
        ("../b", local("/work/b")),
        ("../b/", local("/work/b")),
        ("./b/../c", local("/work/tree/c")),
        ("b", local("/work/tree/b")),
        ("dir/a:b", local("/work/tree/dir/a:b")),
        ("~/b", local("/home/me/b")),
        ("~", local("/home/me")),
        ("file:///srv/x%20y", local("/srv/x y")),
        ("file:///srv/\u00e9", local("/srv/\u00e9")),
        ("file://host/x", local("//host/x")),
        ("/srv/a\nb\t\x1b", local("/srv/a\nb\t\x1b")),
        ("./-x\n", local(f"{TOP}/-x\n")),
        ("ssh://h/srv/x", Ssh("h", b"/srv/x")),
        ("ssh://u@h.example:2222/srv/x%20y", Ssh("h.example", b"/srv/x y", "u", 2222)),
        ("SSH://h:/x", Ssh("h", b"/x")),
        ("ssh://[::1]:22/x", Ssh("::1", b"/x", None, 22)),
        ("ssh://h/~/x", Ssh("h", b"~/x")),
        ("ssh://h/~user/x", Ssh("h", b"~user/x")),
        ("git+ssh://h/x", Ssh("h", b"/x")),
        ("h:x", Ssh("h", b"x")),
        ("u@h:/srv/a:b", Ssh("h", b"/srv/a:b", "u")),
        ("[::1]:x", Ssh("::1", b"x")),
        ("u@[h:2222]:x", Ssh("h", b"x", "u", 2222)),
        ("http://h/x", Web()),
        ("https://h/x", Web()),
        ("annex+http://h/x", Helper("annex+http")),
        ("git://h/x", Helper("git")),
        ("tor-annex::abc.onion:123", Helper("tor-annex")),
        ("gcrypt::ssh://h/x", Helper("gcrypt")),
    ],
)
def test_a_url_leads_where_git_would_go(url: str, address: Address) -> None:
    assert parse(url, top=TOP, home=HOME) == address


@pytest.mark.parametrize(
    "url",
    [
        *("", "-oProxyCommand=x", "--upload-pack=x", "ext::sh -c x", "fd::7", "a\nb", "/x\0y"),
        *("ssh://-oProxyCommand=x/y", "ssh://-u@h/x", "-h:x", "u@-h:x", "ssh://h/-x%0a", "h:-x"),
        *("ssh:///x", "ssh://h", "ssh://h:99999/x", "ssh://h:0/x", "@h:x", "h:", ":x", "[-h]:x"),
        *("ssh://h/%0aProxyCommand", "h:\x7f", "[-h:1]:x"),
    ],
)
def test_a_url_that_could_be_taken_for_something_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse(url, top=TOP, home=HOME)


@given(st.text(max_size=60))
def test_no_url_breaks_it_and_none_gives_an_option_to_ssh(url: str) -> None:
    try:
        address = parse(url, top=TOP, home=HOME)
    except (ValueError, UnicodeEncodeError):
        return
    if isinstance(address, Ssh):
        assert address.destination[0] != "-"
        assert address.path[:1] != b"-"
        assert "\n" not in address.destination
    if isinstance(address, LocalPath):
        assert address.path.is_absolute()


def test_the_longest_beginning_is_rewritten() -> None:
    settings = {
        "url./srv/git/.insteadof": ("work:",),
        "url.ssh://h/.insteadof": ("work:special/", "w"),
    }

    assert rewrite("work:a", settings) == "/srv/git/a"
    assert rewrite("work:special/a", settings) == "ssh://h/a"
    assert rewrite("wx", settings) == "ssh://h/x"
    assert rewrite("/other", settings) == "/other"
