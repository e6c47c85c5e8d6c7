"""Steps of a check: one that fails is recorded under its name, and the others go on."""

import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeVar

Result = TypeVar("Result")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Failure:
    step: str
    error: str
    trace: str

    def to_json(self) -> dict[str, str]:
        return asdict(self)


class Steps:
    """Tells each step as it begins, by `say`."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.failures: list[Failure] = []

    def run(self, name: str, work: Callable[[], Result]) -> Result | None:
        """What the step comes to; None where it failed, whatever it was."""
        self.say(name)
        try:
            return work()
        except Exception as error:
            self.failures.append(Failure(name, f"{type(error).__name__}: {error}", traceback.format_exc()))
            self.say(f"  failed: {type(error).__name__}: {error}")
            return None
