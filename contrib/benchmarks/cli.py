"""The command line."""

import argparse
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from benchmarks import machine, report, sshd
from benchmarks.arena import Arena, CommandError
from benchmarks.course import Course
from benchmarks.keeper import become_subreaper
from benchmarks.peers.peer import Peer, missing
from benchmarks.peers.roster import PEERS
from benchmarks.progress import say
from benchmarks.scenarios.roster import SCENARIOS
from benchmarks.scenarios.size import Size

EPILOG = """\
Each scenario runs annexd and every peer that is installed on the same files, in turn, several
rounds, and prints medians and ratios as Markdown on stdout; progress goes to stderr.  Daemons are
started and stopped by pid, talk over loopback or the file system only, and leave nothing behind.
docs/BENCHMARKS.md says how to read the figures.
"""


def parser() -> argparse.ArgumentParser:
    """All options."""
    names = ", ".join(peer.name for peer in PEERS)
    scenarios = "\n".join(f"  {name:7} {title}" for name, (title, _) in SCENARIOS.items())
    made = argparse.ArgumentParser(
        prog="contrib/bench",
        description="Measure annexd beside its peers.",
        epilog=f"scenarios:\n{scenarios}\n\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    full = Size()
    made.add_argument(
        "--scenario",
        metavar="S1,S2",
        default="S1,S2,S3,S4,S5,S6,S7,S8",
        help="which, or 'all' (default: S1 to S8)",
    )
    made.add_argument("--peers", metavar="P,Q", default="all", help=f"of {names} (default: all)")
    made.add_argument(
        "--runs",
        metavar="N",
        type=int,
        default=full.rounds,
        help="timed rounds after the warm-up (default %(default)s)",
    )
    made.add_argument(
        "--samples",
        metavar="N",
        type=int,
        default=full.samples,
        help="of latency, in all rounds together (default %(default)s)",
    )
    made.add_argument(
        "--files",
        metavar="N",
        type=int,
        help=f"small files in S2 and S8 (default {full.files}) and in S4 (default {full.resident})",
    )
    made.add_argument(
        "--sizes",
        metavar="N,M",
        default=",".join(map(str, full.growth)),
        help="numbers of files for growth (default %(default)s)",
    )
    made.add_argument(
        "--scale",
        metavar="F",
        type=float,
        default=1.0,
        help="of large files and other counts, e.g. 0.1 for a quick look",
    )
    made.add_argument(
        "--idle",
        metavar="S",
        type=float,
        default=full.idle_s,
        help="seconds of idling in S4 (default %(default)s)",
    )
    made.add_argument(
        "--patience",
        metavar="S",
        type=float,
        default=60.0,
        help="seconds without an arrival that make the rest count as never (default %(default)s)",
    )
    made.add_argument(
        "--all-sizes",
        action="store_true",
        help="also run peers with more files than they are known to finish",
    )
    made.add_argument(
        "--dir",
        metavar="DIR",
        type=Path,
        default=Path("/var/tmp"),  # noqa: S108 -- mkdtemp makes the directory
        help="on which file system (default %(default)s)",
    )
    made.add_argument("--json", metavar="FILE", type=Path, help="write every sample there")
    made.add_argument(
        "--markdown", metavar="FILE", type=Path, help="write the tables there, not to stdout"
    )
    made.add_argument(
        "--keep", action="store_true", help="do not delete the directories, and say where they are"
    )
    return made


def main() -> int:
    """Run what was asked for; 0 when all ran, whatever the figures."""
    arguments = parser().parse_args()
    scenarios = _chosen(arguments.scenario, list(SCENARIOS))
    wanted = _chosen(arguments.peers, [peer.name for peer in PEERS])
    facts = machine.about(arguments.dir)
    facts["command"] = " ".join(sys.argv)
    facts["date"] = time.strftime("%Y-%m-%d %H:%M")
    become_subreaper()
    signal.signal(signal.SIGTERM, _end)
    arena = Arena(arguments.dir)
    try:
        peers = _present(arena, [peer for peer in PEERS if peer.name in wanted], facts)
        course = Course(arena, peers, arguments.patience)
        try:
            _run(course, scenarios, _size(arguments))
        except KeyboardInterrupt:
            say("interrupted: here is what there is so far")
        _write(course, facts, arguments)
    finally:
        if arguments.keep:
            say(f"kept: {arena.top}")
        else:
            say("deleting")
            arena.close()
    return 0


def _write(course: Course, facts: dict[str, object], arguments: argparse.Namespace) -> None:
    titles = {name: title for name, (title, _) in SCENARIOS.items()}
    text = report.markdown(course.book, facts, titles)
    if arguments.markdown is None:
        sys.stdout.write(text)
    else:
        arguments.markdown.write_text(text)
    if arguments.json is not None:
        arguments.json.write_text(report.as_json(course.book, facts))


def _size(arguments: argparse.Namespace) -> Size:
    full = Size()
    return Size(
        rounds=arguments.runs,
        samples=arguments.samples,
        files=arguments.files or full.files,
        resident=arguments.files or full.resident,
        growth=tuple(int(word) for word in arguments.sizes.split(",")),
        scale=arguments.scale,
        idle_s=arguments.idle,
        all_sizes=arguments.all_sizes,
    )


def _run(course: Course, scenarios: list[str], size: Size) -> None:
    for name in scenarios:
        absent = sshd.missing() if name.startswith("SSH") else ""
        if absent:
            say(f"{name}: {absent}")
            continue
        for case in SCENARIOS[name][1](size):
            course.run(case)


def _end(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM ends us as Ctrl-C does: with the results so far, and everything stopped."""
    raise KeyboardInterrupt


def _chosen(text: str, names: list[str]) -> list[str]:
    if text == "all":
        return names
    words = text.split(",")
    unknown = [word for word in words if word not in names]
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are: {', '.join(names)}")
    return words


def _present(arena: Arena, peers: list[type[Peer]], facts: dict[str, object]) -> list[type[Peer]]:
    """Those that are installed; ``facts`` gets a line on each, installed or not."""
    found = []
    for peer in peers:
        reason = missing(peer, arena.environment)
        if reason:
            facts[peer.name] = reason
            continue
        try:
            facts[peer.name] = peer.version(arena)
        except CommandError as failure:
            facts[peer.name] = f"does not run: {str(failure).splitlines()[-1]}"
            continue
        found.append(peer)
    return found
