"""The three parts of the embedded stack and the addresses they get."""

import asyncio
import socket
import sys
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from framelens_gateway.addresses import host_port
from framelens_gateway.stack.part import Part
from framelens_gateway.stack.settings import StackSettings

_LOOPBACK = "127.0.0.1"
_PROBE_TIMEOUT_S = 2


@dataclass(frozen=True)
class Addresses:
    """HOST:PORT of every endpoint, as serve.json names them."""

    grpc: str
    http: str
    triton_grpc: str
    triton_http: str
    triton_metrics: str
    milvus: str

    @classmethod
    def choose(cls, settings: StackSettings) -> "Addresses":
        """Free ports where the settings name none."""
        free = _free_ports(6)
        return cls(
            grpc=host_port(settings.host, settings.grpc_port or free[0]),
            http=host_port(settings.host, settings.http_port or free[1]),
            triton_grpc=f"{_LOOPBACK}:{free[2]}",
            triton_http=f"{_LOOPBACK}:{free[3]}",
            triton_metrics=f"{_LOOPBACK}:{free[4]}",
            milvus=f"{_LOOPBACK}:{free[5]}",
        )

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def triton_part(settings: StackSettings, addresses: Addresses) -> Part:
    return Part(
        name="triton",
        command=(
            str((settings.server_env / "bin" / "framelens-triton").absolute()),
            "serve",
            f"--model-repository={settings.model_repository}",
            f"--work-dir={settings.var_dir / 'triton'}",
            f"--grpc-port={_port(addresses.triton_grpc)}",
            f"--http-port={_port(addresses.triton_http)}",
            f"--metrics-port={_port(addresses.triton_metrics)}",
            *([f"--otlp-endpoint={settings.otlp_endpoint}"] if settings.otlp_endpoint else []),
        ),
        environment={},
        log=settings.var_dir / "log" / "triton.log",
        probe=_http_probe(f"http://{addresses.triton_http}/v2/health/ready"),
    )


def milvus_part(settings: StackSettings, addresses: Addresses) -> Part:
    return Part(
        name="milvus",
        command=(
            sys.executable,
            "-m",
            "framelens_gateway.stack.milvus_lite",
            f"--data-dir={settings.var_dir / 'milvus'}",
            f"--host={_LOOPBACK}",
            f"--port={_port(addresses.milvus)}",
        ),
        environment={},
        log=settings.var_dir / "log" / "milvus.log",
        probe=_connect_probe(addresses.milvus),
    )


def gateway_part(settings: StackSettings, addresses: Addresses) -> Part:
    return Part(
        name="gateway",
        command=(str(Path(sys.executable).with_name("framelens-gateway")),),
        environment={
            "FRAMELENS_HOST": settings.host,
            "FRAMELENS_GRPC_PORT": str(_port(addresses.grpc)),
            "FRAMELENS_HTTP_PORT": str(_port(addresses.http)),
            "FRAMELENS_TRITON_ADDRESS": addresses.triton_grpc,
            "FRAMELENS_MILVUS_URI": f"http://{addresses.milvus}",
            **({"FRAMELENS_OTLP_ENDPOINT": settings.otlp_endpoint} if settings.otlp_endpoint else {}),
            "FRAMELENS_CROPS_DIR": str(settings.var_dir / "crops"),
            "FRAMELENS_VIDEOS_DIR": str(settings.var_dir / "videos"),
            **({"FRAMELENS_SAMPLES_DIR": str(settings.samples_dir)} if settings.samples_dir.is_dir() else {}),
        },
        log=settings.var_dir / "log" / "gateway.log",
        probe=_http_probe(f"http://{addresses.http}/readyz"),
    )


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _free_ports(count: int) -> list[int]:
    """Ports that nothing listens on; all are held until the last is found, so that no two are the same."""
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind((_LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in held]
    finally:
        for each in held:
            each.close()


def _http_probe(url: str) -> Callable[[], Awaitable[bool]]:
    def look() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=_PROBE_TIMEOUT_S) as answer:  # noqa: S310 - our own loopback URL
                return int(answer.status) == 200
        except OSError:
            return False

    return lambda: asyncio.to_thread(look)


def _connect_probe(address: str) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        host, _, port = address.rpartition(":")
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), _PROBE_TIMEOUT_S)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    return look
