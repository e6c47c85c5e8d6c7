"""The commands of an operator that change what serves, and those that undo them."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framelens_perf.stack import Addresses

NEXT_SPACE = "embedder_effnet_lite1"
_TIMEOUT_S = 600


class CommandFailure(Exception):
    """A command of an operator ended badly; what it said is in the message."""


Command = list[str]


@dataclass(frozen=True)
class Step:
    """A command under the name of its kind of change."""

    name: str
    command: Command
    # What Triton may take for it beside what serves, in MiB, where the command tells.
    memory_mib: float | None = None


@dataclass(frozen=True)
class Change:
    """One way to change what serves, and all that takes it back."""

    forward: Step
    undo: list[Step]

    @property
    def steps(self) -> list[Step]:
        return [self.forward, *self.undo]


@dataclass(frozen=True)
class Operator:
    """Knows the commands of both rooms, and the stack that they are for."""

    gateway_bin: Path
    model_repository: Path
    var_dir: Path
    addresses: Addresses

    def engines(self, *arguments: str, offline: bool = False) -> Command:
        command = Path(sys.executable).with_name("framelens-engines")
        triton = ["--triton", self.addresses.triton_grpc, "--triton-metrics", self.addresses.triton_metrics]
        return [
            str(command),
            *arguments,
            "--repository",
            str(self.model_repository),
            *(() if offline else triton),
            "--json",
        ]

    def index(self, *arguments: str) -> Command:
        where = {
            "--milvus": f"http://{self.addresses.milvus}",
            "--triton": self.addresses.triton_grpc,
            "--crops": str(self.var_dir / "crops"),
        }
        options = [part for option in where.items() for part in option]
        return [str(self.gateway_bin / "framelens-index"), *options, *arguments, "--json"]

    def publish(self, model: str, version: str, copy_mib: float) -> Change:
        """`copy_mib` is what one loaded copy of the version takes; beside what serves there are two for a moment."""
        return Change(
            Step(f"publish {model}", self.engines("publish", version), 2 * copy_mib),
            [Step(f"rollback {model}", self.engines("rollback", model))],
        )

    def migrate(self) -> Change:
        # Whether the new space is better is not the question here: patches of colour are recognised by neither.
        unbounded = ["--min-recall", "0", "--min-overlap", "0"]
        return Change(
            Step("migrate", self.index("migrate", "products", "--to", NEXT_SPACE, "--yes", *unbounded)),
            [
                Step("index rollback", self.index("rollback", "products")),
                Step("abandon", self.index("abandon", "products", "--yes")),
            ],
        )


def run(command: Command) -> Any:  # noqa: ANN401
    """What the command prints as JSON. Raises CommandFailure."""
    # In a session of its own, as an operator's is: what it shares with nobody, it can stand back with.
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, start_new_session=True
    )
    if done.returncode:
        shown = " ".join([Path(command[0]).name, *command[1:]])
        raise CommandFailure(f"`{shown}` ended with status {done.returncode}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout)
