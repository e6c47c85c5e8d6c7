"""`framelens-perf`: the demo and measurements."""

import signal
import sys

import click

from framelens_client.cli.lazy_group import LazyGroup

_COMMANDS = {
    "analyze": "framelens_perf.analyzer.command:analyze",
    "compare": "framelens_perf.critical_path.report_commands:compare_command",
    "demo": "framelens_perf.demo_command:demo",
    "feed": "framelens_perf.feed.command:feed",
    "gate": "framelens_perf.critical_path.report_commands:gate",
    "gpu-check": "framelens_perf.gpu_check.command:gpu_check_command",
    "load-samples": "framelens_perf.load_samples:load_samples",
    "peers": "framelens_perf.peers.command:peers",
    "perf": "framelens_perf.critical_path.command:perf",
    "size": "framelens_perf.sizing.command:size",
    "soak": "framelens_perf.soak.command:soak",
    "swap-test": "framelens_perf.swap.command:swap_test",
    "unnamed": "framelens_perf.unnamed.command:unnamed",
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def main() -> None:
    """Runs FrameLens on sample pictures and measures it."""
    # As an exception, so that whoever started a stack stops it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
