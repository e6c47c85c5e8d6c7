"""What commands that run the stack read and where they write."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """The command that runs the stack, the pictures, the engines, and the folder of results."""

    stack_command: Path
    pictures: Path
    model_repository: Path
    out: Path
