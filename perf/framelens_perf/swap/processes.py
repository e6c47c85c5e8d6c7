"""The processes of a stack: their memory, and their end."""

import os
import signal
from pathlib import Path

_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


def memory_mib(root: int) -> float:
    """Resident memory of a process and all its descendants, what they share counted once for each."""
    return sum(_resident_mib(pid) for pid in _family(root))


def kill(pid: int) -> None:
    """kill -9, of this process alone; a Triton's stubs end with it."""
    os.kill(pid, signal.SIGKILL)


def _family(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdecimal() and (parent := _parent(path)) is not None:
            children.setdefault(parent, []).append(int(path.name))
    family = [root]
    for pid in family:
        family.extend(children.get(pid, ()))
    return family


def _parent(process: Path) -> int | None:
    try:
        # After the command's name, which may hold anything: state, then the parent.
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return None


def _resident_mib(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MIB
    except OSError:
        return 0.0
