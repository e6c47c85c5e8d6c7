"""`framelens videos`, `framelens moments`, and frames of videos, against a real gRPC server."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from framelens_client.cli.video_entries import published_at
from framelens_client.v1 import framelens_pb2 as pb


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three videos, and what is none."""
    folder = tmp_path / "videos"
    (folder / "deeper.mp4").mkdir(parents=True)
    for name in ("a.mp4", "b.MOV", "c.webm", "notes.txt"):
        (folder / name).write_bytes(name.encode() * 100)
    return folder


def headers(gateway: Any) -> list[pb.IndexVideoHeader]:
    return [call.request for call in gateway.calls if call.method == "IndexVideo"]


def test_index_one_file(gateway: Any, command: Callable[..., Any], folder: Path) -> None:
    options = (
        "--account",
        "ann",
        "--title",
        "Kitchen",
        "--url",
        "http://v",
        "--published",
        "2026-05-01T12:00:00+02:00",
    )
    done = command("videos", "index", folder / "a.mp4", *options, "--id", "v1", "--again")
    assert done.exit_code == 0, done.output
    assert (
        done.stdout
        == "stored v1  75.5 s, 151 frames, 1 object; ended early\n1 video = 1 stored + 0 unchanged + 0 refused\n"
    )
    (header,) = headers(gateway)
    video = pb.Video(id="v1", account="ann", title="Kitchen", url="http://v", published_at=1777629600)
    assert (header.video, header.again) == (video, True)
    assert gateway.received == (folder / "a.mp4").read_bytes()


def test_index_a_folder_and_again(gateway: Any, command: Callable[..., Any], folder: Path) -> None:
    done = command("videos", "index", folder, "--account", "ann")
    assert done.exit_code == 0, done.output
    assert [header.video.id for header in headers(gateway)] == ["a", "b", "c"]
    assert "3 videos = 3 stored + 0 unchanged + 0 refused" in done.stdout
    (folder / "b.MOV").write_bytes(b"other")
    done = command("videos", "index", folder, "--account", "ann")
    assert [line.split()[:2] for line in done.stdout.splitlines()[:3]] == [
        ["unchanged", "a"],
        ["stored", "b"],
        ["unchanged", "c"],
    ]
    assert "3 videos = 1 stored + 2 unchanged + 0 refused" in done.stdout


def test_index_a_list(gateway: Any, command: Callable[..., Any], folder: Path) -> None:
    listed = folder.parent / "list.csv"
    listed.write_text(
        "file,id,account,title,url,published\n"
        'videos/a.mp4,v1,bob,"Bob\'s, first",http://v/1,2026-05-01\n'
        "videos/b.MOV,,,,,\n"
        "videos/missing.mp4,v3,,,,\n"
        "videos/c.webm,v4,,,,yesterday\n"
        "videos/c.webm,v1,,,,\n"
    )
    done = command("videos", "index", listed, "--account", "ann")
    assert done.exit_code == 1
    first, second = (header.video for header in headers(gateway))
    assert first == pb.Video(id="v1", account="bob", title="Bob's, first", url="http://v/1", published_at=1777593600)
    assert second == pb.Video(id="b", account="ann")
    assert "5 videos = 2 stored + 0 unchanged + 3 refused" in done.stdout
    assert done.stderr.splitlines() == [
        f"refused: {folder / 'missing.mp4'}: there is no such file",
        f"refused: {folder / 'c.webm'}: published 'yesterday' is no date or time of ISO 8601",
        f"refused: {folder / 'c.webm'}: its id v1 is that of {folder / 'a.mp4'}",
    ]


def test_a_video_that_is_refused_does_not_stop_the_others(
    gateway: Any, command: Callable[..., Any], fail: Callable[..., Any], folder: Path
) -> None:
    gateway.failures += [
        fail(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VIDEO", "no \x1b[31m stream"),
        fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_after_s=0.01),
    ]
    done = command("videos", "index", folder, "--account", "ann")
    assert done.exit_code == 1
    assert "3 videos = 2 stored + 0 unchanged + 1 refused" in done.stdout
    assert done.stderr == f"refused: {folder / 'a.mp4'}: INVALID_VIDEO: no �[31m stream\n"
    assert len(headers(gateway)) == 4, "one that is shed is sent again"


def test_what_the_next_would_meet_too_ends_the_command(
    gateway: Any, command: Callable[..., Any], fail: Callable[..., Any], folder: Path
) -> None:
    gateway.on_chunk = lambda _: gateway.failures.append(
        fail(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", "who")
    )
    done = command("videos", "index", folder, "--account", "ann")
    assert done.exit_code == 1
    assert "3 videos = 1 stored + 0 unchanged + 0 refused + 2 not indexed" in done.stdout
    assert "run the same command again" in done.stderr
    assert "UNAUTHENTICATED: who" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.mp4"], "whose video is it?"),
        (["."], "whose video is it?"),
        ([".", "--account", "ann", "--id", "x"], "are of one FILE"),
        (["a.mp4", "--account", "ann", "--published", "soon"], "no date or time of ISO 8601"),
        (["missing.mp4", "--account", "ann"], "does not exist"),
    ],
)
def test_wrong_usage_of_index(
    gateway: Any, command: Callable[..., Any], folder: Path, arguments: list[str], said: str
) -> None:
    done = command("videos", "index", folder / arguments[0], *arguments[1:])
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())
    assert gateway.calls == []


def test_lists_that_are_none(command: Callable[..., Any], tmp_path: Path) -> None:
    listed = tmp_path / "list.csv"
    for content, said in ((b"id,account\n", "no column `file`"), (b"file\n\xff.mp4\n", "no CSV in UTF-8")):
        listed.write_bytes(content)
        done = command("videos", "index", listed, "--account", "ann")
        assert (done.exit_code, said in done.stderr) == (1, True)
    done = command("videos", "index", tmp_path, "--account", "ann")
    assert (done.exit_code, "holds no video" in done.stderr) == (1, True)


def test_a_date_without_a_zone_is_in_utc() -> None:
    assert (
        published_at("1970-01-02")
        == published_at("1970-01-02T00:00Z")
        == published_at("1970-01-02T01:00+01:00")
        == 86400
    )


def test_an_interruption_says_what_is_done(gateway: Any, folder: Path) -> None:
    ended, reached = threading.Event(), threading.Event()

    def hang_at_the_second(_: int) -> None:
        if gateway.videos:
            reached.set()
            ended.wait(20)

    gateway.on_chunk = hang_at_the_second
    code = "from framelens_client.cli import main; main()"
    arguments = ["--address", gateway.address, "videos", "index", str(folder), "--account", "ann"]
    run = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert reached.wait(20)
    run.send_signal(signal.SIGINT)
    stdout, stderr = run.communicate(timeout=20)
    ended.set()
    assert run.returncode == 130
    assert "stored a" in stdout
    assert "3 videos = 1 stored + 0 unchanged + 0 refused + 2 not indexed" in stdout
    assert "run the same command again" in stderr
    assert "interrupted" in stderr
    assert "Traceback" not in stderr


@pytest.fixture
def stocked(gateway: Any, stored_video: pb.StoredVideo) -> Any:
    gateway.videos["v1"] = stored_video
    for n in range(2, 5):
        gateway.videos[f"v{n}"] = pb.StoredVideo(video=pb.Video(id=f"v{n}", account="bob", title=f"Title {n} \x1b[31m"))
    return gateway


def test_list(stocked: Any, command: Callable[..., Any]) -> None:
    done = command("videos", "list", "--limit", 2)
    assert done.exit_code == 0, done.output
    for text in ("v1", "ann", "Ann's kitchen", "01:15.5", "1970-01-01 00:16:40Z", "Title 2"):
        assert text in done.stdout
    assert "Title 3" not in done.stdout and "\x1b" not in done.stdout
    assert "only the first 2 are shown" in done.stderr
    done = command("videos", "list", "--json", "--account", "bob")
    shown = [ParseDict(json.loads(line), pb.StoredVideo()) for line in done.stdout.splitlines()]
    assert [stored.video.id for stored in shown] == ["v2", "v3", "v4"]


def test_no_videos(command: Callable[..., Any]) -> None:
    assert command("videos", "list").stdout == "no videos\n"


def test_show(stocked: Any, command: Callable[..., Any], stored_video: pb.StoredVideo) -> None:
    done = command("videos", "show", "v1")
    for text in ("Ann's kitchen", "1280x720", "ended early", "cup", "0.75", "01:03.5", "v1/1"):
        assert text in done.stdout
    assert "nothing was followed" in command("videos", "show", "v2").stdout
    assert ParseDict(json.loads(command("videos", "show", "v1", "--json").stdout), pb.StoredVideo()) == stored_video
    done = command("videos", "show", "v9")
    assert (done.exit_code, done.stderr) == (1, 'Error: NOT_FOUND: no video "v9"\n')


def test_delete(stocked: Any, command: Callable[..., Any]) -> None:
    done = command("videos", "delete", "v1", "v9", "v2")
    assert (done.exit_code, done.stdout, done.stderr) == (1, "deleted v1\ndeleted v2\n", "Error: not stored: v9\n")
    assert sorted(stocked.videos) == ["v3", "v4"]


def test_moments(stocked: Any, command: Callable[..., Any], video_moments: pb.VideoMoments) -> None:
    done = command("moments", "v1")
    assert done.exit_code == 0, done.output
    for text in ("button: 01:00.5-01:10.2", "cup", "products", "0.62", "v1/1"):
        assert text in done.stdout
    assert ParseDict(json.loads(command("moments", "v1", "--json").stdout), pb.VideoMoments()) == video_moments
    assert command("moments", "v9").exit_code == 1


def test_recognize_a_moment(gateway: Any, command: Callable[..., Any], picture: Path) -> None:
    done = command("recognize", "--video", "v1", "--at", 63.5, "--fresh", "--use-boost")
    assert done.exit_code == 0, done.output
    assert "v1 at 01:03  640x480" in done.stdout
    request = gateway.calls[0].request
    assert (request.video_id, request.timestamp_s, request.fresh, request.picture) == ("v1", 63.5, True, b"")
    assert request.search.use_boost
    assert command("recognize", picture, "--video", "v1", "--at", 0).exit_code == 0
    assert (gateway.calls[1].request.picture, gateway.calls[1].request.timestamp_s) == (picture.read_bytes(), 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give FILE..., or --video"),
        (["--video", "v1"], "belong together"),
        (["--at", "3"], "belong together"),
        (["--video", "v1", "--at", "3", "--draw", "out.png"], "needs a FILE"),
        (["PICTURE", "PICTURE", "--video", "v1", "--at", "3"], "of one frame"),
    ],
)
def test_wrong_usage_of_moments(
    gateway: Any, command: Callable[..., Any], picture: Path, arguments: list[str], said: str
) -> None:
    done = command("recognize", *(picture if each == "PICTURE" else each for each in arguments))
    assert (done.exit_code, gateway.calls) == (2, [])
    assert said in " ".join(done.stderr.split())


def test_related_videos_say_where_to_look(
    gateway: Any, command: Callable[..., Any], picture: Path, recognition: pb.RecognizeResponse
) -> None:
    video = pb.VideoMatch(account="ann", start_s=120, end_s=140, at_s=125.9, label="person")
    match = pb.Match(kind="video", id="v1", title="Ann's kitchen", score=0.9, video=video)
    answer = pb.RecognizeResponse()
    answer.CopyFrom(recognition)
    answer.objects[1].matches.append(match)
    answer.served.source = "moments"
    gateway.recognition = answer
    done = command("recognize", picture)
    assert "ann: Ann's kitchen (v1) at 02:05" in done.stdout
    assert "from stored moments" in done.stdout
