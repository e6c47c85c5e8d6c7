"""`python -m framelens_perf.feed.bare_server FILE`: answers GetMoments with what is in FILE, and does nothing else.

What gRPC in Python takes by itself, on this machine: no gateway can answer sooner.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc


@contextmanager
def bare_server(answer: Path) -> Iterator[str]:
    """Its address, while it runs as a process of its own."""
    command = [sys.executable, "-m", "framelens_perf.feed.bare_server", str(answer)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - it was started with a pipe
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


async def _serve(answer: bytes) -> None:
    async def answered(_: bytes, __: object) -> bytes:
        return answer

    server = grpc.aio.server()
    methods = {"GetMoments": grpc.unary_unary_rpc_method_handler(answered)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("framelens.v1.VisualSearch", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]).read_bytes()))
