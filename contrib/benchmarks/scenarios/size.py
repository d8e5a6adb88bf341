"""How large everything is, and how often it is done."""

from dataclasses import dataclass

from benchmarks.files import GIB, KIB, MIB

SMALL = 4 * KIB


@dataclass(frozen=True, slots=True)
class Size:
    """The choices of who runs the program; the defaults are those of the published figures."""

    rounds: int = 3
    samples: int = 20
    """Of latency, spread over the rounds."""

    files: int = 10_000
    resident: int = 100_000
    """Files in the large repository."""

    growth: tuple[int, ...] = (1_000, 10_000, 100_000)
    scale: float = 1.0
    """Of large files and of what is not named above; less than 1 for a quick look."""

    idle_s: float = 60.0
    all_sizes: bool = False
    """Also run the peers that are known not to finish."""

    def count(self, full: int) -> int:
        """A number of files, scaled."""
        return max(1, round(full * self.scale))

    def bytes(self, full: int) -> int:
        """A size of a large file, scaled."""
        return max(MIB, round(full * self.scale))

    def samples_a_round(self) -> int:
        """Samples of latency that each round takes."""
        return max(1, -(-self.samples // self.rounds))


def shown(size: int) -> str:
    """A size in bytes, as titles have it."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size / unit:g} {name}" if size % unit == 0 else f"{size / unit:.1f} {name}"
    return f"{size} B"
