"""All scenarios by name."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from benchmarks.case import Case
from benchmarks.scenarios import bulk, catchup, fanout, growth, latency, renames, resident
from benchmarks.scenarios.size import Size

Scenario = tuple[str, Callable[[Size], Iterator[Case]]]

SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "S1": ("latency of one file of 1 MiB", latency.latency),
        "S2": ("10,000 files of 4 KiB", bulk.small),
        "S3": ("one file of 2 GiB, and 20 of 100 MiB", bulk.large),
        "S4": ("a repository of 100,000 files", resident.large_repository),
        "S5": ("catch-up after 1,000 adds, 100 deletes, 100 renames while down", catchup.catch_up),
        "S6": ("a chain A-B-C", latency.chain),
        "S7": ("one file to 5 remotes", fanout.fan_out),
        "S8": ("10,000 renames, 10,000 deletes", renames.renames),
        "SSH1": ("latency of one file of 1 MiB, over ssh", latency.over_ssh),
        "SSH2": ("2,000 files of 4 KiB, over ssh", bulk.small_over_ssh),
        "SSH3": ("one file of 1 GiB, over ssh", bulk.large_over_ssh),
        "growth": ("S2 and S4 with 1,000, 10,000, 100,000 files", growth.growth),
    }
)
