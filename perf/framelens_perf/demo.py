"""`make demo`: the whole path once, on real pictures, with its answers checked and its cost measured."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console

from framelens_client import Client
from framelens_perf.alterations import altered_jpeg
from framelens_perf.answers import Answer, ask
from framelens_perf.in_process import DETECTOR, EMBEDDER, in_process_recognizer
from framelens_perf.overhead import Overhead, measure_overhead
from framelens_perf.paths import Paths
from framelens_perf.recall import Recall, measure_recall
from framelens_perf.report import answer_table, draw_answer, write_report
from framelens_perf.sample_frames import DRAWN, RECOGNISED
from framelens_perf.sample_videos import IndexedVideo, index_sample_videos, moments_table
from framelens_perf.stack import Addresses, StackFailure, embedded_stack
from framelens_perf.workload.frames import feed_frames
from framelens_triton.recognition import Request

CATALOGUE = Path(__file__).with_name("sample_catalog.csv")
LEAST_RECALL = 0.97
MOST_RECOGNIZER_OVER_STAGES = 1.35
MOST_GATEWAY_ADDED_MS = 3.0
_OVERHEAD_ROUNDS = 40


def run_demo(paths: Paths, console: Console) -> bool:
    """Whether every frame's expected match came first, under the right labels, and recall kept its bar.

    Raises StackFailure.
    """
    shutil.rmtree(paths.out, ignore_errors=True)
    console.print("starting Triton, Milvus and the gateway on loopback")
    with embedded_stack(paths.stack_command, paths.out / "stack", paths.model_repository) as addresses:
        import_catalogue(addresses, paths.pictures, paths.out)
        with Client(addresses.grpc) as client:
            answers = _ask_all(client, paths)
            recall = measure_recall(client, CATALOGUE, paths.pictures)
            console.print("indexing a sample video")
            videos = list(index_sample_videos(client, paths.pictures, 1))
        overhead = _overhead(feed_frames(paths.pictures, _OVERHEAD_ROUNDS), addresses, paths.model_repository)
        console.print("stopping the stack")
    write_report(paths.out / "report.json", answers, recall, overhead)
    console.print(answer_table(answers))
    for indexed in videos:
        console.print(moments_table(indexed))
        console.print(f"indexed {indexed.speed:.1f} times as fast as it plays")
    _print_figures(console, recall, overhead)
    console.print(f"pictures and report.json are in {paths.out}")
    return _verdict(console, answers, recall, videos)


def import_catalogue(addresses: Addresses, pictures: Path, out: Path) -> None:
    """Through the command that a shop would use; what it has done is noted in `out`. Raises StackFailure."""
    framelens = Path(sys.executable).with_name("framelens")
    state = out / "import-state"
    catalogue = ["products", "import", str(CATALOGUE), "--images", str(pictures), "--state", str(state)]
    done = subprocess.run([framelens, "--address", addresses.grpc, *catalogue], check=False)
    if done.returncode:
        raise StackFailure(f"the catalogue was not imported (status {done.returncode}); what failed stands above")


def _ask_all(client: Client, paths: Paths) -> list[Answer]:
    answers = []
    for frame in (*RECOGNISED, *DRAWN):
        picture = paths.out / f"{frame.name}.jpg"
        picture.write_bytes(altered_jpeg(paths.pictures / frame.picture, *frame.alterations))
        answer = ask(client, frame, picture.read_bytes())
        draw_answer(picture, answer, picture.with_suffix(".png"))
        picture.unlink()
        answers.append(answer)
    return answers


def _overhead(frames: Sequence[bytes], addresses: Addresses, model_repository: Path) -> Overhead:
    with closing(in_process_recognizer(model_repository, (DETECTOR, EMBEDDER))) as local:

        def in_process_ms(picture: bytes) -> float:
            _, clock = local.recognize([Request(picture, DETECTOR, EMBEDDER)])
            return clock.total_ms

        return measure_overhead(frames, in_process_ms, addresses, EMBEDDER)


def _print_figures(console: Console, recall: Recall, overhead: Overhead) -> None:
    console.print(
        f"recall@1 {recall.at_1:.3f} over {recall.asked} altered pictures of the catalogue (bar {LEAST_RECALL})"
        + (f"; missed: {', '.join(recall.missed)}" if recall.missed else "")
    )
    console.print(
        f"recognizer {overhead.recognizer_ms:.1f} ms, its stages in one process {overhead.stages_in_process_ms:.1f}: "
        f"{overhead.recognizer_over_stages:.2f} times (bar {MOST_RECOGNIZER_OVER_STAGES})"
    )
    console.print(
        f"the gateway adds {overhead.gateway_added_ms:.1f} ms to that (bar {MOST_GATEWAY_ADDED_MS}), "
        f"and the search {overhead.search_ms:.1f} ms; medians of {_OVERHEAD_ROUNDS} calls"
    )


def _verdict(console: Console, answers: list[Answer], recall: Recall, videos: Sequence[IndexedVideo]) -> bool:
    wrong = [fault for answer in answers for fault in answer.faults()]
    wrong += [fault for indexed in videos for fault in indexed.faults()]
    if recall.at_1 < LEAST_RECALL:
        wrong.append(f"recall@1 {recall.at_1:.3f} is under {LEAST_RECALL}")
    for fault in wrong:
        console.print(f"[bold red]wrong[/] {fault}")
    if not wrong:
        console.print(f"[bold green]all {len(answers)} frames answered as expected[/]")
    return not wrong
