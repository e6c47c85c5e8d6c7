"""The processes of a stack: their memory, and their end."""

import os
import signal
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


def memory_mib(root: int) -> float:
    """Resident memory of a process and all its descendants, what they share counted once for each."""
    return sum(resident_mib(pid) for pid in family(root))


def cpu_s(root: int) -> float:
    """CPU time of a process, its descendants and those of them that have ended and were waited for."""
    return sum(map(_cpu_s, family(root)))


def kill(pid: int) -> None:
    """kill -9, of this process alone; a Triton's stubs end with it."""
    os.kill(pid, signal.SIGKILL)


def family(root: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdecimal() and (parent := _parent(path)) is not None:
            children.setdefault(parent, []).append(int(path.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def _parent(process: Path) -> int | None:
    try:
        return int(_fields(process)[1])
    except (OSError, ValueError):
        return None


def _cpu_s(pid: int) -> float:
    """Its own and its waited-for children's, in user and system mode; 0 where it has ended."""
    try:
        return sum(map(int, _fields(Path(f"/proc/{pid}"))[11:15])) / _TICKS
    except OSError:
        return 0.0


def _fields(process: Path) -> list[str]:
    """Of its stat, behind the command's name, which may hold anything: state, the parent and so on. Raises OSError."""
    return (process / "stat").read_text().rpartition(")")[2].split()


def resident_mib(pid: int) -> float:
    """Of one process; 0 where it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MIB
    except OSError:
        return 0.0
