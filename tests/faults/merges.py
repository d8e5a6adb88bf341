"""Worlds in which ``b`` has something to merge that ``a`` has sent."""

from pathlib import Path

from tests.faults.world import make_pair, settle_down
from tests.processes import run_to_end
from tests.repo import Repo


def to_merge(place: Path) -> None:
    """``b`` has been sent what has become of each kind of file; it has an edit of its own."""
    a, b = make_pair(place)
    a.write(".gitattributes", b"*.txt annex.largefiles=nothing\n")
    for name in ("edited", "goes", "moves", "splits", "t.txt", "d/e/f"):
        a.write(name, f"{name} in the beginning\n".encode())
    a.annex("add", "-q", "-c", "annex.addunlocked=true", ".")
    a.git("commit", "-q", "-m", "files")
    a.annex("sync", "-q", "--content")
    b.annex("sync", "-q", "--content")
    a.replace("edited", b"edited")
    a.remove("goes")
    a.rename("moves", "d/moved")
    a.remove("splits")
    a.write("splits/inside", b"inside")
    a.discard("d/e")
    a.write("d/e", b"a file where a directory was")
    a.replace("t.txt", b"text\n")
    a.write("locked", b"locked content")
    a.annex("add", "-q", "locked")
    a.annex("add", "-q", "-c", "annex.addunlocked=true", ".")
    a.git("commit", "-q", "-a", "-m", "changes")
    b.write("of b", b"of b")
    b.annex("add", "-q", "-c", "annex.addunlocked=true", ".")
    b.git("commit", "-q", "-m", "of b")
    send(a, b)


def send(a: Repo, b: Repo) -> None:
    a.annex("copy", "-q", "--to", "b", "--all")
    a.git("push", "-q", "b", "main:synced/main", "+git-annex:synced/git-annex")
    settle_down(a)
    settle_down(b)


def in_conflict(place: Path) -> None:
    a, b = make_pair(place)
    for name in ("both", "t.txt", "gone"):
        a.write(name, b"in the beginning\n")
    a.annex("add", "-q", "-c", "annex.addunlocked=true", ".")
    a.git("commit", "-q", "-m", "files")
    a.annex("sync", "-q", "--content")
    b.annex("sync", "-q", "--content")
    for repo, content in ((a, b"by a\n"), (b, b"by b\n")):
        repo.replace("both", content)
        repo.replace("t.txt", content)
        repo.replace("gone", content)
        if repo is b:
            repo.remove("gone")
        repo.git("commit", "-q", "-a", "-m", "an edit")
    send(a, b)


def amended(place: Path) -> None:
    """``b`` has replaced the commit that ``a`` has gone on from."""
    a, b = make_pair(place)
    b.write("file", b"first")
    b.annex("add", "-q", "-c", "annex.addunlocked=true", ".")
    b.git("commit", "-q", "-m", "file")
    b.annex("sync", "-q", "--content")
    a.annex("sync", "-q", "--content")
    b.replace("file", b"second thoughts")
    b.git("commit", "-q", "-a", "--amend", "-m", "file")
    a.write("of a", b"of a")
    a.annex("add", "-q", "-c", "annex.addunlocked=true", ".")
    a.git("commit", "-q", "-m", "of a")
    send(a, b)


def botched(place: Path) -> None:
    """``a`` has committed git's conflict markers, as an assistant does."""
    in_conflict(place)
    a, b = Repo(place / "a"), Repo(place / "b")
    a.git("fetch", "-q", "b")
    run_to_end(["git", "merge", "-q", "refs/remotes/b/main"], a.path)
    a.annex("add", "-q", "-c", "annex.addunlocked=true", ".")
    a.git("add", "-A")
    a.git("commit", "-q", "-m", "git-annex in a")
    send(a, b)


def pushed_into(place: Path) -> None:
    """The branch of ``b`` has moved under its work tree, in which there is an edit."""
    a, b = make_pair(place)
    for name in ("edited", "goes", "stays"):
        a.write(name, name.encode() * 50)
    a.annex("add", "-q", "-c", "annex.addunlocked=true", ".")
    a.git("commit", "-q", "-m", "files")
    a.annex("sync", "-q", "--content")
    b.annex("sync", "-q", "--content")
    b.git("branch", "-f", "synced/main", "main")
    settle_down(b)
    a.replace("edited", b"edited by a")
    a.remove("goes")
    a.write("comes", b"comes")
    a.annex("add", "-q", "-c", "annex.addunlocked=true", ".")
    a.git("commit", "-q", "-a", "-m", "changes")
    b.config("receive.denyCurrentBranch", "ignore")
    a.annex("copy", "-q", "--to", "b", "--all")
    a.git("push", "-q", "b", "main:main", "+git-annex:synced/git-annex")
    settle_down(a)
    b.replace("stays", b"edited by b")


def renamed(place: Path) -> None:
    """Whole directories have another name, one file has gone with them twice."""
    a, b = make_pair(place)
    for name in ("d/one", "d/e/two", "d/e/three", "top"):
        a.write(name, name.encode() * 50)
    a.annex("add", "-q", "-c", "annex.addunlocked=true", "d")
    a.annex("add", "-q", "top")
    a.git("commit", "-q", "-m", "files")
    a.annex("sync", "-q", "--content")
    b.annex("sync", "-q", "--content")
    a.rename("d", "f")
    a.rename("top", "g/h/top")
    a.annex("add", "-q", "-c", "annex.addunlocked=true", ".")
    a.git("add", "-A")
    a.git("commit", "-q", "-m", "names")
    send(a, b)


def adjusted(place: Path, how: str = "--unlock") -> None:
    """``b`` is on a branch that git-annex has adjusted, with an edit."""
    a, b = make_pair(place)
    for name in ("edited", "goes", "stays"):
        a.write(name, name.encode() * 50)
    a.annex("add", "-q", ".")
    a.git("commit", "-q", "-m", "files")
    a.annex("sync", "-q", "--content")
    b.annex("sync", "-q", "--content")
    b.annex("adjust", "-q", how)
    a.remove("goes")
    a.write("comes", b"comes")
    a.replace("edited", b"edited by a")
    a.annex("add", "-q", ".")
    a.git("commit", "-q", "-a", "-m", "changes")
    send(a, b)
    b.replace("stays", b"edited by b")


def hiding(place: Path) -> None:
    """The same; what has come is not shown, as its content is not here."""
    adjusted(place, "--hide-missing")
