"""Which cipher ssh is to try first."""

from pathlib import Path

import pytest

from workers.annex import ciphers
from workers.annex.ciphers import FAST, preferred

OWN = f"chacha20-poly1305@openssh.com,aes128-ctr,{FAST}"


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program ``ssh``; what it says with no configuration (``own``), and with that of today."""
    program = tmp_path / "ssh"
    script = f"""#!/bin/sh
case "$*" in -F\\ none*) what=own;; *) what=today;; esac
while read line; do echo "$line"; done < {tmp_path}/$what
"""
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    says(tmp_path, "own", OWN)
    says(tmp_path, "today", OWN)
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu aes sha_ni\n")
    monkeypatch.setattr(ciphers, "_CPUINFO", str(cpuinfo))
    for cache in (ciphers._preferred, ciphers._is_fast):
        cache.cache_clear()
    return tmp_path


def says(ssh: Path, what: str, names: str) -> None:
    (ssh / what).write_text(f"user me\nciphers {names}\nport 22\n")


def asked(ssh: Path) -> tuple[str, ...]:
    return preferred(("-4",), ("-p", "2222", "me@host"), ssh)


def test_the_cipher_that_processors_know_comes_first(ssh: Path) -> None:
    expected = f"Ciphers={FAST},chacha20-poly1305@openssh.com,aes128-ctr"
    assert asked(ssh) == ("-o", expected)


def test_whoever_has_chosen_ciphers_has_what_he_has_chosen(ssh: Path) -> None:
    says(ssh, "today", f"aes128-ctr,{FAST}")
    assert asked(ssh) == ()


@pytest.mark.parametrize("names", ["", "chacha20-poly1305@openssh.com,aes128-ctr"])
def test_what_ssh_does_not_have_is_not_asked_for(ssh: Path, names: str) -> None:
    for what in ("own", "today"):
        says(ssh, what, names)
    assert asked(ssh) == ()


def test_an_ssh_that_cannot_say_is_left_alone(ssh: Path) -> None:
    (ssh / "own").unlink()
    assert asked(ssh) == ()


def test_a_processor_without_the_instructions_gets_what_ssh_would_take(ssh: Path) -> None:
    (ssh / "cpuinfo").write_text("flags\t\t: fpu sse2\n")
    assert asked(ssh) == ()
