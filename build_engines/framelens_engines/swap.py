"""Changes what Triton serves, under load: publish a version, or roll back to the one before.

Every step can be interrupted and the command repeated. A server is changed only after the version has answered its
golden queries on every server under the candidate's name, where no caller meets it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from framelens_engines.candidate_model import drop_candidate, load_candidate
from framelens_engines.check import expect_answers
from framelens_engines.errors import EngineError, ServerError, SwapError
from framelens_engines.memory import expect_memory
from framelens_engines.model_config import expect_backend
from framelens_engines.progress import Reporter
from framelens_engines.repository import EngineVersion
from framelens_engines.server import TritonServer
from framelens_engines.store import EngineStore


@dataclass(frozen=True)
class ServerState:
    """What a server gives to callers who name no version; `error` where it could not be asked."""

    server: str
    serving: int | None
    error: str = ""


class Swap:
    """Changes one store and the servers that serve it, one server after the other."""

    def __init__(self, store: EngineStore, servers: Sequence[TritonServer], reporter: Reporter) -> None:
        self._store, self._servers, self._reporter = store, servers, reporter

    def publish(self, name: str) -> EngineVersion:
        """Makes a validated version what every server serves. Raises EngineError; then the message says what serves."""
        with self._store.changing():
            version = self._store.get(name)
            self._expect_publishable(version)
            for server in self._servers:
                self._reporter.say(expect_memory(server, version))
            load_candidate(self._store, version, self._servers, self._reporter)
            drop_candidate(self._store, version.model, self._servers)
            published = version if self._store.is_published(version) else self._store.publish(version)
            self._serve(published)
            return published

    def rollback(self, model: str) -> EngineVersion:
        """Makes the version before the serving one what every server serves. Raises EngineError."""
        with self._store.changing():
            target = self._store.begun_rollback(model) or self._way_back(model)
            self._expect_runnable(target)
            for server in self._servers:
                self._reporter.say(expect_memory(server, target))
            self._store.begin_rollback(target)
            for version in self._store.published.versions(model):
                if version.version > target.version:
                    self._store.withdraw(version)
            for server in self._servers:
                self._activate(server, target)
            self._store.end_rollback(model)
            return target

    def states(self, model: str) -> list[ServerState]:
        return [_state(server, model) for server in self._servers]

    def _expect_publishable(self, version: EngineVersion) -> None:
        if not version.record.passed:
            raise SwapError(
                f"{version.name} is not validated, or failed; run `framelens-engines validate {version.name}` first"
            )
        published = self._store.published.versions(version.model)
        if published and published[-1].version > version.version:
            raise SwapError(
                f"{published[-1].name} is published, and Triton serves the highest number; roll it back first, or"
                f" build {version.name} again under a higher number (--again)"
            )
        self._expect_runnable(version)

    def _expect_runnable(self, version: EngineVersion) -> None:
        folder = self._store.published.root / version.model
        expect_backend(folder, version.record.target, self._store.config_name)

    def _way_back(self, model: str) -> EngineVersion:
        published = self._store.published.versions(model)
        if len(published) < 2:
            there = f"only {published[0].name} is" if published else "none of its versions is"
            raise SwapError(f"{model} has no way back: {there} published")
        return published[-2]

    def _serve(self, version: EngineVersion) -> None:
        """One server after the other, stopping at the first that fails."""
        for position, server in enumerate(self._servers):
            try:
                self._activate(server, version)
            except EngineError as error:
                if position == 0:
                    self._take_back(server, version)
                raise SwapError(f"{error}. {self._told(version.model)}") from error

    def _activate(self, server: TritonServer, version: EngineVersion) -> None:
        server.load(version.model)
        expect_answers(server, version.model, version)
        if (serving := server.serving(version.model)) != version.version:
            raise SwapError(f"Triton at {server.name} serves {version.model}/{serving} and not {version.name}")
        self._reporter.say(f"{server.name}: serves {version.name}")

    def _take_back(self, server: TritonServer, version: EngineVersion) -> None:
        """No server serves it yet but the one that failed: the version before serves again."""
        if len(self._store.published.versions(version.model)) > 1:
            self._store.withdraw(version)
            server.load(version.model)

    def _told(self, model: str) -> str:
        return "; ".join(f"{s.server} serves {s.error or f'{model}/{s.serving}'}" for s in self.states(model))


def _state(server: TritonServer, model: str) -> ServerState:
    try:
        return ServerState(server.name, server.serving(model))
    except ServerError as error:
        return ServerState(server.name, None, str(error))
