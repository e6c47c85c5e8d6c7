"""`framelens-stack`: the embedded stack, until Ctrl-C or SIGTERM."""

import asyncio
import fcntl
import json
import logging
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from framelens_gateway.settings_faults import settings_or_exit
from framelens_gateway.stack.parts import Addresses, gateway_part, milvus_part, triton_part
from framelens_gateway.stack.settings import StackSettings
from framelens_gateway.stack.supervisor import StartFailure, Supervisor


def main() -> None:
    settings = settings_or_exit(StackSettings, "framelens-stack")
    if settings.print_config:
        print(settings.model_dump_json(indent=2))
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        with _only_one(settings.var_dir):
            asyncio.run(_run(settings))
    except (StartFailure, BlockingIOError) as error:
        sys.exit(f"framelens-stack: {error}")


async def _run(settings: StackSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    addresses = Addresses.choose(settings)
    supervisor = Supervisor(
        [
            [triton_part(settings, addresses), milvus_part(settings, addresses)],
            [gateway_part(settings, addresses)],
        ],
        settings.start_timeout_s,
        settings.stop_timeout_s,
    )
    serve_file = settings.var_dir / "serve.json"
    try:
        if await _unless_stopped(supervisor.start(), stop):
            _announce(serve_file, addresses, supervisor)
            await _unless_stopped(supervisor.watch(lambda: _write(serve_file, addresses, supervisor)), stop)
    finally:
        serve_file.unlink(missing_ok=True)
        await supervisor.stop()


async def _unless_stopped(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Whether the work came to its end before a signal did. Raises what the work raises."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return False
    task.result()
    return True


def _announce(path: Path, addresses: Addresses, supervisor: Supervisor) -> None:
    _write(path, addresses, supervisor)
    for name, address in addresses.as_dict().items():
        print(f"{name:16} {address}")
    print(f"{'page':16} http://{addresses.http}/")
    print(f"FrameLens is ready; the addresses are in {path}. Ctrl-C stops it.", flush=True)


def _write(path: Path, addresses: Addresses, supervisor: Supervisor) -> None:
    """Renamed into place, so that no reader sees half of it."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps({**addresses.as_dict(), "pids": supervisor.pids}, indent=2) + "\n")
    new.rename(path)


@contextmanager
def _only_one(var_dir: Path) -> Iterator[None]:
    """Two stacks on one index would harm it. Raises BlockingIOError."""
    var_dir.mkdir(parents=True, exist_ok=True)
    with (var_dir / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(
                f"a stack runs already on {var_dir}; its addresses are in {var_dir / 'serve.json'}"
            ) from error
        yield
