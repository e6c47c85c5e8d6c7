"""The peers: how each is started, and what it is asked for its health. What they serve stands in perf/peers."""

from dataclasses import dataclass
from pathlib import Path

# Beside the package, because each file runs in an environment that lacks it.
SERVERS = Path(__file__).parents[2] / "peers"


@dataclass(frozen=True)
class Peer:
    """One server; `arguments` follow its environment's bin folder, with the port in place of PORT."""

    name: str
    # Whose version is reported.
    package: str
    arguments: tuple[str, ...]
    health_path: str

    def command(self, environment: Path, port: int) -> list[str]:
        program, *rest = (each.replace("PORT", str(port)) for each in self.arguments)
        return [str(environment.absolute() / "bin" / program), *rest]


PEERS = (
    Peer("FastAPI", "fastapi", ("python", "fastapi_peer.py"), "/health"),
    Peer("LitServe", "litserve", ("python", "litserve_peer.py"), "/health"),
    Peer(
        "BentoML",
        "bentoml",
        ("bentoml", "serve", "bentoml_peer:VisualSearchService", "--host", "127.0.0.1", "--port", "PORT"),
        "/readyz",
    ),
)
