"""git-annex is the oracle for globs and for amounts of data."""

from tests.annex.world import World, key, uuid
from workers.annex import datasize, glob

NAMES = [
    *(b"A", b"b", b"ab", b"abc", b"a/b", b"a/c/d", b".a", b"a.b", b"x.mp3", b"d/x.mp3", b"aa"),
    *(b"*", b"?", b"[", b"]", b"a]", b"\\", b"\\*", b"a\\b", b"-", b"a-b", b"!", b"^", b"$", b"a$"),
    *(
        b"+",
        b"{a}",
        b"a|b",
        b"(a)",
        b" ",
        b"a b",
        b"\t",
        b"a\tb",
        b",",
        b"=",
        b"~",
        b"_",
        b"5",
        b"z",
    ),
    *("é".encode(), "aéb".encode(), "É".encode(), "日本".encode(), b"\xff", b"a\xffb", b"\x01"),
    *(b"a\nb", b"\n", b"x\n", b"archive/x", b"d/archive/x", b"d/e/archive/f/g"),
]

GLOBS = [
    *("*", "?", "??", "q/*", "q/?", "q/??", "q/A", "q/a", "Q/*", "q/*b", "q/a*", "q/a*b", "q/a?b"),
    *("q/*.mp3", "*/archive/*", "q/archive/*", "archive/*", "q/*/*", "q/**", "q/?*", "q/*?", "*b"),
    *("q/[ab]", "q/[!ab]", "q/[^ab]", "q/[a-c]*", "q/[!a-c]", "q/[a-]", "q/[-a]", "q/[!-~]"),
    *("q/[A-z]", "q/[é]", "q/a]", "q/\\*", "q/\\", "q/.*", "q/$", "q/^", "q/+", "q/é", "q/a.b"),
    *("q/{a}", "q/a|b", "q/a=b", "b", "q", "./q/A", "/q/A", "q/a/", "q//b", "q/aéb", "q/日?"),
]


def test_a_glob_matches_what_it_matches_for_git_annex(world: World) -> None:
    files = {b"q/" + name: key(number) for number, name in enumerate(NAMES)}
    repositories = {text: uuid(number) for number, text in enumerate(GLOBS)}
    world.pretend(files, {})
    world.pretend_wanted({each: f"include={text}".encode() for text, each in repositories.items()})

    different = {
        text: theirs ^ ours
        for text, each in repositories.items()
        if (theirs := world.find(f"--want-get-by={each.decode()}"))
        != (ours := set(filter(glob.matcher(text), files)))
    }

    assert different == {}


def test_a_size_is_what_it_is_for_git_annex(world: World) -> None:
    texts = [f"7{unit.title()}" for unit in datasize.UNITS]
    texts += ["0", "1.5", "2.5", "3.5b", "0.5b", "1.0005kb", "1.9999kb", "0.1mib", "1.2345kb"]
    limits = {f"{number}": datasize.parse(text) for number, text in enumerate(texts)}
    files = {
        f"{name}-{limit + more}": limit + more for name, limit in limits.items() for more in (0, 1)
    }
    repositories = {name: uuid(int(name)) for name in limits}
    world.pretend({name.encode(): key(1, size) for name, size in files.items()}, {})
    world.pretend_wanted(
        {repositories[name]: f"largerthan={texts[int(name)]}".encode() for name in limits}
    )

    wanted = world.wanted_pairs((repositories[name.split("-")[0]], name) for name in files)

    assert wanted == {name for name, size in files.items() if size > limits[name.split("-")[0]]}


def test_smaller_is_not_larger_and_not_as_large(world: World) -> None:
    world.pretend({b"%d" % size: key(1, size) for size in (999, 1000, 1001)}, {})
    world.pretend_wanted({uuid(1): b"smallerthan=1kb"})

    assert world.find(f"--want-get-by={uuid(1).decode()}") == {b"999"}
