"""What is quoted of a program's stderr."""

from workers.git.run import GitError
from workers.git.told import told

UNEXPECTED = b"""\
git-annex: /nonexistent/hash202d: openFdAt template hash: does not exist (No such file or directory)
HasCallStack backtrace:
  collectBacktraces, called at libraries/ghc-internal/src/GHC/Internal/Exception.hs:169:13 in ghc
  throwIO, called at libraries/exceptions/src/Control/Monad/Catch.hs:308:12 in exceptions-0.10.9


"""


def test_the_calls_that_led_to_an_error_are_left_out() -> None:
    (line,) = told(UNEXPECTED)
    assert line.startswith("git-annex: /nonexistent/hash202d: openFdAt")
    assert told(b"first\nCallStack (from HasCallStack):\n  error, called at x\nlast\n") == [
        "first",
        "last",
    ]


def test_an_error_of_git_annex_s_quotes_the_reason() -> None:
    assert str(GitError(("git-annex", "sync"), 1, UNEXPECTED)).endswith(
        "status 1: git-annex: /nonexistent/hash202d: openFdAt template hash: does not exist "
        "(No such file or directory)"
    )
    assert (
        str(GitError(("git", "x"), 128, b"hint: no\nfatal: yes\n"))
        == "git x: status 128: fatal: yes"
    )
