"""What Docker Compose makes of compose.yaml, with and without compose.cpu.yaml."""

import copy
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from composed import CPU, ENVIRONMENT, GPU, Compose
from docker_image import DOCKER, Image

from framelens_gateway.settings import GatewaySettings

MODEL_CONFIG = "FRAMELENS_TRITON_MODEL_CONFIG_NAME"
PARTS = {"gateway", "triton", "milvus", "etcd", "minio", "prometheus", "grafana"}
OURS = {"gateway": Image(DOCKER / "gateway.Dockerfile"), "triton": Image(DOCKER / "triton.Dockerfile")}


def test_every_part_is_there(composed: dict[str, Any]) -> None:
    assert set(composed["services"]) == PARTS


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("healthchek: {}", "healthchek"),
        ("depends_on: [nobody]", "nobody"),
        ("networks: [nowhere]", "nowhere"),
        ('deploy: { resources: { limits: { memory: "much" } } }', "much"),
    ],
)
def test_compose_would_refuse_a_fault(compose: Compose, tmp_path: Path, line: str, fault: str) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(f"services:\n  gateway:\n    {line}\n")
    refused = compose.run([*GPU, wrong], ENVIRONMENT)
    assert refused.returncode != 0
    assert fault in refused.stderr


@pytest.mark.parametrize("variable", ENVIRONMENT)
@pytest.mark.parametrize("files", [GPU, CPU], ids=["gpu", "cpu"])
def test_nothing_starts_without_its_secrets(compose: Compose, files: tuple[Path, ...], variable: str) -> None:
    refused = compose.run(files, {**ENVIRONMENT, variable: ""})
    assert refused.returncode != 0
    assert f"required variable {variable} is missing a value" in refused.stderr
    assert "example.env" in refused.stderr


def test_the_example_names_what_has_to_be_set() -> None:
    lines = (DOCKER / "example.env").read_text().splitlines()
    assert {line.partition("=")[0] for line in lines if line and not line.startswith("#")} == set(ENVIRONMENT)


def test_secrets_come_from_variables_alone(gpu: dict[str, Any]) -> None:
    secret = re.compile(r"PASSWORD|SECRET|TOKENS|ACCESS_KEY|ROOT_USER")
    found = [
        (name, value)
        for service in gpu["services"].values()
        for name, value in service.get("environment", {}).items()
        if secret.search(name)
    ]
    assert len(found) == 6
    assert [name for name, value in found if value not in ENVIRONMENT.values()] == []


def test_only_the_gateway_is_published_and_on_loopback(composed: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in composed["services"].items() if service.get("ports")}
    assert set(published) == {"gateway"}
    ports = published["gateway"]
    assert {(port["host_ip"], port["published"], port["target"]) for port in ports} == {
        ("127.0.0.1", "50051", 50051),
        ("127.0.0.1", "8080", 8080),
    }
    assert {port["target"] for port in ports} == OURS["gateway"].ports()


def test_where_it_is_published_can_be_chosen(compose: Compose) -> None:
    chosen = {"PUBLISH_ADDRESS": "10.0.0.1", "PUBLISH_GRPC_PORT": "1", "PUBLISH_HTTP_PORT": "2"}
    ports = compose.config(GPU, {**ENVIRONMENT, **chosen})["services"]["gateway"]["ports"]
    assert [(port["host_ip"], port["published"]) for port in ports] == [("10.0.0.1", "1"), ("10.0.0.1", "2")]


def test_all_but_the_gateway_are_on_a_network_that_leads_nowhere(composed: dict[str, Any]) -> None:
    inner = {name for name, network in composed["networks"].items() if network.get("internal")}
    assert len(inner) == 1
    reached = {name: set(service["networks"]) for name, service in composed["services"].items()}
    assert {name for name, networks in reached.items() if networks != inner} == {"gateway"}
    assert inner < reached["gateway"]


def test_every_part_is_hardened(composed: dict[str, Any]) -> None:
    for name, service in composed["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged") and not service.get("cap_add"), name
        assert service["restart"] == "unless-stopped", name


def test_every_part_has_limits(composed: dict[str, Any]) -> None:
    for name, service in composed["services"].items():
        limits = service["deploy"]["resources"]["limits"]
        assert float(limits["cpus"]) > 0, name
        assert 2**28 <= int(limits["memory"]) <= 2**34, name
        assert 0 < limits["pids"] <= 4096, name
        assert int(service["logging"]["options"]["max-file"]) > 0, name


def test_every_part_has_a_health_check_that_asks_its_own_port(composed: dict[str, Any]) -> None:
    for name, service in composed["services"].items():
        check = service["healthcheck"]
        assert check["test"][0] == "CMD", f"{name}: without a shell, which not every image has"
        assert {"interval", "timeout", "retries", "start_period"} <= set(check), name
        assert name == "etcd" or re.search(r"http://127\.0\.0\.1:\d+/", check["test"][-1]), name


def test_parts_start_when_what_they_need_is_healthy(composed: dict[str, Any]) -> None:
    needs = {name: service.get("depends_on", {}) for name, service in composed["services"].items()}
    assert {name: set(wanted) for name, wanted in needs.items() if wanted} == {
        "gateway": {"triton", "milvus"},
        "milvus": {"etcd", "minio"},
        "grafana": {"prometheus"},
    }
    assert {need["condition"] for wanted in needs.values() for need in wanted.values()} == {"service_healthy"}


def test_images_are_pinned(composed: dict[str, Any]) -> None:
    for name, service in composed["services"].items():
        assert re.search(r":(v?\d+\.\d+\.\d+|RELEASE\.\d{4}-)", service["image"]), name


def test_what_is_mounted_exists(composed: dict[str, Any]) -> None:
    mounts = [mount for service in composed["services"].values() for mount in service.get("volumes", ())]
    bound = [mount for mount in mounts if mount["type"] == "bind"]
    assert len(bound) == 4
    assert [mount["source"] for mount in bound if not Path(mount["source"]).exists()] == []
    assert [mount["source"] for mount in bound if not mount.get("read_only")] == []
    assert {mount["source"] for mount in mounts if mount["type"] == "volume"} == set(composed["volumes"])


def test_images_of_ours_are_built_from_their_dockerfiles(composed: dict[str, Any]) -> None:
    builds = {name: service["build"] for name, service in composed["services"].items() if "build" in service}
    assert set(builds) == set(OURS)
    for name, build in builds.items():
        assert (Path(build["context"]) / build["dockerfile"]).resolve() == DOCKER / f"{name}.Dockerfile"


@pytest.mark.parametrize(("place", "index_type"), [("gpu", "GPU_CAGRA"), ("cpu", "HNSW")])
def test_the_gateway_takes_its_environment(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, place: str, index_type: str
) -> None:
    services = request.getfixturevalue(place)["services"]
    for name, value in {**OURS["gateway"].environment(), **services["gateway"]["environment"]}.items():
        monkeypatch.setenv(name, value)
    settings = GatewaySettings()
    assert settings.index_type == index_type
    assert [token.get_secret_value() for token in settings.tokens] == ["a token"]
    assert settings.host == "0.0.0.0"  # noqa: S104
    assert settings.otlp_endpoint == ""
    triton, _, port = settings.triton_address.partition(":")
    assert triton in services and int(port) in OURS["triton"].ports()
    assert re.fullmatch(r"http://(\w+):19530", settings.milvus_uri)[1] in services  # type: ignore[index]
    assert {settings.grpc_port, settings.http_port} == OURS["gateway"].ports()


def test_crops_and_videos_are_kept_where_the_gateway_puts_them(gpu: dict[str, Any]) -> None:
    gateway, image = gpu["services"]["gateway"], OURS["gateway"]
    kept = [image.environment()[name] for name in ("FRAMELENS_CROPS_DIR", "FRAMELENS_VIDEOS_DIR")]
    assert [mount["target"] for mount in gateway["volumes"]] == kept
    assert image.values("VOLUME") == [" ".join(kept)]
    assert Path(image.environment()["TMPDIR"]).is_relative_to(kept[1])


def test_triton_serves_the_repository_that_is_mounted(composed: dict[str, Any]) -> None:
    mounts = composed["services"]["triton"]["volumes"]
    assert [mount["target"] for mount in mounts] == [OURS["triton"].environment()["FRAMELENS_TRITON_MODEL_REPOSITORY"]]


def test_gpus_are_reserved_only_where_there_are_some(gpu: dict[str, Any], cpu: dict[str, Any]) -> None:
    def reserved(composed: dict[str, Any]) -> dict[str, Any]:
        resources = {name: service["deploy"]["resources"] for name, service in composed["services"].items()}
        return {
            name: [(device["device_ids"], device["capabilities"]) for device in found["reservations"]["devices"]]
            for name, found in resources.items()
            if found.get("reservations")
        }

    assert reserved(gpu) == {"triton": [(["0"], ["gpu"])], "milvus": [(["0"], ["gpu"])]}
    assert reserved(cpu) == {}


def test_without_gpu_nothing_else_differs(gpu: dict[str, Any], cpu: dict[str, Any]) -> None:
    cpu = copy.deepcopy(cpu)
    milvus, gateway = cpu["services"]["milvus"], cpu["services"]["gateway"]
    assert f"{milvus['image']}-gpu" == gpu["services"]["milvus"]["image"]
    triton, with_gpu = (each["services"]["triton"]["environment"] for each in (cpu, gpu))
    assert (triton[MODEL_CONFIG], with_gpu[MODEL_CONFIG]) == ("", "gpu")
    milvus["image"] = gpu["services"]["milvus"]["image"]
    gateway["environment"]["FRAMELENS_INDEX_TYPE"] = gpu["services"]["gateway"]["environment"]["FRAMELENS_INDEX_TYPE"]
    triton[MODEL_CONFIG] = with_gpu[MODEL_CONFIG]
    for name in ("triton", "milvus"):
        cpu["services"][name]["deploy"] = gpu["services"][name]["deploy"]
    assert cpu == gpu


def test_prometheus_asks_every_part_that_counts(gpu: dict[str, Any]) -> None:
    config = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yaml").read_text())
    targets = {
        job["job_name"]: target.partition(":")
        for job in config["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    }
    assert {name: host for name, (host, _, _) in targets.items()} == {
        "gateway": "gateway",
        "triton": "triton",
        "milvus": "milvus",
        "prometheus": "localhost",
    }
    for name, image in OURS.items():
        assert int(targets[name][2]) in image.ports()
    mount = next(mount for mount in gpu["services"]["prometheus"]["volumes"] if mount["type"] == "bind")
    assert f"--config.file={mount['target']}" in gpu["services"]["prometheus"]["command"]


class _Answer(BaseHTTPRequestHandler):
    """A gateway that is ready, or not."""

    status = 200
    asked: str | None = None

    def do_GET(self) -> None:
        type(self).asked = self.path
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def answering(status: int) -> Iterator[HTTPServer]:
    _Answer.status, _Answer.asked = status, None
    with HTTPServer(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_gateway_is_healthy_when_it_is_ready(gpu: dict[str, Any], status: int, healthy: bool) -> None:
    _, python, *arguments = gpu["services"]["gateway"]["healthcheck"]["test"]
    assert python == "python"
    with answering(status) as server:
        moved = [argument.replace(":8080", f":{server.server_port}") for argument in arguments]
        done = subprocess.run([sys.executable, *moved], capture_output=True, check=False, timeout=30)
    assert _Answer.asked == "/readyz"
    assert (done.returncode == 0) is healthy
