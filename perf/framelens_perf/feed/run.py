"""Runs the real stack as a feed uses it."""

import json
import shutil

from rich.console import Console

from framelens_client import Client
from framelens_perf.feed.bare_server import bare_server
from framelens_perf.feed.indexing import indexed
from framelens_perf.feed.made_videos import write_hd, write_repeated
from framelens_perf.feed.moments import ask_moments, kept_moments, store_copies
from framelens_perf.feed.report import Report, print_report, write_report
from framelens_perf.paths import Paths
from framelens_perf.sample_videos import SAMPLE_VIDEOS, index_sample_videos
from framelens_perf.stack import StackFailure, embedded_stack


def run_feed(paths: Paths, console: Console, videos: int, rate: float, seconds: float, times: int) -> bool:
    """Whether the bars are kept. Raises StackFailure, FrameLensError."""
    sample = paths.pictures / f"{SAMPLE_VIDEOS[0].id}.mp4"
    if not sample.is_file():
        raise StackFailure(f"there is no {sample}; make it with framelens-engines sample-videos")
    stack_dir = paths.out / "stack"
    shutil.rmtree(stack_dir, ignore_errors=True)
    stack_dir.mkdir(parents=True)
    short, long = paths.out / "short.mp4", paths.out / "long.mp4"
    if not short.is_file():
        console.print(f"making a 720p video of {sample.name}")
        write_hd(sample, short)
    write_repeated(short, long, times)
    with (
        embedded_stack(paths.stack_command, stack_dir, paths.model_repository) as addresses,
        Client(addresses.grpc) as client,
    ):
        stored = [each.video.id for each in index_sample_videos(client, paths.pictures)]
        console.print("indexing")
        of_short, of_long = (indexed(client, file.stem, file, addresses.pids) for file in (short, long))
        console.print(f"storing {videos} videos, and asking for their moments")
        ids = store_copies(client, stored, videos, stack_dir / "videos")
        with bare_server(kept_moments(stack_dir / "videos", stored[0])) as bare:
            moments, of_bare = ask_moments([addresses.grpc, bare], ids, rate, seconds)
    report = Report(_precision(paths), of_short, of_long, times, videos, moments, of_bare)
    write_report(paths.out / "report.json", report)
    print_report(console, report)
    console.print(f"report.json is in {paths.out}")
    return not report.faults()


def _precision(paths: Paths) -> str:
    """Of the detector that is served: the newest."""
    newest = max(paths.model_repository.glob("detector/*/engine.json"), key=lambda path: int(path.parent.name))
    return str(json.loads(newest.read_text())["precision"])
