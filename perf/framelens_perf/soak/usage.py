"""What a part of the stack holds, its descendants included: memory, descriptors, threads."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from framelens_perf.processes import family, resident_mib


@dataclass(frozen=True)
class Usage:
    """Of one part at one moment; memory in MiB."""

    memory_mib: float
    descriptors: int
    threads: int


def usages(pids: Mapping[str, int]) -> dict[str, Usage]:
    """By part, given the process that each began with."""
    return {part: _usage(family(pid)) for part, pid in pids.items()}


def _usage(pids: list[int]) -> Usage:
    return Usage(
        sum(map(resident_mib, pids)),
        sum(_entries(pid, "fd") for pid in pids),
        sum(_entries(pid, "task") for pid in pids),
    )


def _entries(pid: int, folder: str) -> int:
    """How many things a process has in a folder of /proc; none where it has ended."""
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/{folder}").iterdir())
    except OSError:
        return 0
