"""The install steps of triton.Dockerfile in a folder of their own, and what runs in it: recognizer and serve.py."""

import json
from pathlib import Path

import pytest
from docker_image import DOCKER, ROOT, Image, Installation

IMAGE = Image(DOCKER / "triton.Dockerfile")
# What Triton brings to a model by itself.
STUB = """
import sys, types
sys.modules["triton_python_backend_utils"] = types.ModuleType("triton_python_backend_utils")
"""


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(IMAGE, tmp_path_factory.mktemp("triton-image"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One model with a version, one without."""
    for folder in ("detector/3", "embedder_new"):
        (tmp_path / folder).mkdir(parents=True)
    for model in ("detector", "embedder_new"):
        (tmp_path / model / "config.pbtxt").touch()
    return tmp_path


def test_pip_ran_as_the_image_runs_it(installation: Installation) -> None:
    assert len(installation.ran) == 1
    assert '-c constraints/server.txt "./triton[gpu]"' in installation.ran[0]


def test_the_embedded_server_is_not_in_it(installation: Installation) -> None:
    listed = json.loads(installation.run("python3", "-m", "pip", "list", "--format=json"))
    names = {entry["name"].lower() for entry in listed}
    assert {"framelens-triton", "numpy", "pillow", "protobuf"} <= names
    assert {"nvidia-pytriton", "onnxruntime"} & names == set()


def test_the_recognizer_finds_all_that_it_imports(installation: Installation) -> None:
    model = ROOT / "model_repository" / "recognizer" / "1" / "model.py"
    says = f"{STUB}\nimport runpy\nprint(sorted(runpy.run_path({str(model)!r})))"
    assert "TritonPythonModel" in installation.run("python3", "-c", says)


def test_it_serves_as_the_embedded_server_does(installation: Installation, repository: Path) -> None:
    chosen = {"FRAMELENS_TRITON_MODEL_CONFIG_NAME": "gpu", "FRAMELENS_TRITON_OTLP_ENDPOINT": "http://c:4318"}
    line = command(installation, repository, "--log-info=false", **chosen)
    assert line[0] == "/opt/tritonserver/bin/tritonserver"
    assert line[-1] == "--log-info=false"
    assert {
        "--model-config-name=gpu",
        f"--model-repository={repository}",
        "--backend-directory=/opt/tritonserver/backends",
        "--model-control-mode=explicit",
        "--load-model=detector",
        "--grpc-address=0.0.0.0",
        "--grpc-port=8001",
        "--metrics-port=8002",
        "--trace-config=opentelemetry,url=http://c:4318/v1/traces",
    } <= set(line)
    assert "--load-model=embedder_new" not in line, "a model without a version would keep the server from starting"


def test_no_collector_no_traces_and_no_name_no_other_configuration(
    installation: Installation, repository: Path
) -> None:
    empty = {"FRAMELENS_TRITON_MODEL_CONFIG_NAME": "", "FRAMELENS_TRITON_OTLP_ENDPOINT": ""}
    line = command(installation, repository, **empty)
    assert [flag for flag in line if flag.startswith(("--trace", "--model-config"))] == []


def test_a_repository_without_engines_is_named(installation: Installation, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no model with a version; mount a model repository"):
        installation.run("python3", serve(installation), FRAMELENS_TRITON_MODEL_REPOSITORY=str(tmp_path))


def serve(installation: Installation) -> Path:
    return installation.path(IMAGE.entrypoint()[-1])


def command(installation: Installation, repository: Path, *flags: str, **environment: str) -> list[str]:
    """What serve.py would become."""
    says = (
        "import json, sys; from pathlib import Path; sys.path.insert(0, sys.argv.pop(1)); import serve; "
        "print(json.dumps(serve.command(serve.TritonSettings(), sys.argv[1:])))"
    )
    environment = {**IMAGE.environment(), **environment, "FRAMELENS_TRITON_MODEL_REPOSITORY": str(repository)}
    return list(json.loads(installation.run("python3", "-c", says, serve(installation).parent, *flags, **environment)))
