"""The dashboard asks for metrics and labels that there are: the gateway's own registry, and what Triton exposes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from docker_image import DOCKER

from framelens_gateway.metrics import Metrics

GRAFANA = DOCKER / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "framelens.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [
    pytest.param(target, id=f"{panel['title']}-{target['refId']}") for panel in PANELS for target in panel["targets"]
]
# Only where there is a GPU; docs/user_guide/metrics.md of Triton names them.
GPU_METRICS = {"nv_gpu_utilization": {"gpu_uuid"}, "nv_gpu_memory_used_bytes": {"gpu_uuid"}}


def gateway_metrics() -> dict[str, set[str]]:
    """Labels by sample name; the registry knows samples of metrics that have none yet."""
    found = {}
    for name, collector in Metrics().registry._names_to_collectors.items():
        labels = set(collector._labelnames)  # type: ignore[attr-defined]
        found[name] = labels | {"le"} if name.endswith("_bucket") else labels
    return found


def triton_metrics() -> dict[str, set[str]]:
    # By hand: prometheus_client calls a counter by another name than Triton does.
    captured = Path(__file__).with_name("triton_metrics.txt").read_text()
    lines = re.finditer(r"^(nv_\w+).*$", captured, re.MULTILINE)
    return {line[1]: set(re.findall(r'(\w+)="', line[0])) for line in lines}


METRICS = {**gateway_metrics(), **triton_metrics(), **GPU_METRICS}


def provisioned(path: str) -> dict[str, Any]:
    return dict(yaml.safe_load((GRAFANA / "provisioning" / path).read_text()))


def parsed(expression: str) -> promql.Expr:
    """Grafana puts a duration where it says so."""
    return promql.parse(expression.replace("$__rate_interval", "1m"))


def nodes(node: Any, kind: type) -> Iterator[Any]:
    """Every node of a kind in an expression."""
    if isinstance(node, kind):
        yield node
    for below in ("expr", "lhs", "rhs", "vector_selector"):
        if hasattr(node, below):
            yield from nodes(getattr(node, below), kind)
    for argument in getattr(node, "args", ()):
        yield from nodes(argument, kind)


def selectors(node: Any) -> list[Any]:
    return list(nodes(node, promql.VectorSelector))


def groupings(node: Any) -> list[Any]:
    return list(nodes(node, promql.AggregateExpr))


def faults(expression: str) -> list[str]:
    """Metrics and labels that nobody exposes."""
    tree = parsed(expression)
    found = [selector.name for selector in selectors(tree) if selector.name not in METRICS]
    if found:
        return found
    for selector in selectors(tree):
        found += [m.name for m in selector.matchers.matchers if m.name not in METRICS[selector.name]]
    for grouping in groupings(tree):
        labels = set(grouping.modifier.labels) if grouping.modifier else set()
        for selector in selectors(grouping):
            found += sorted(labels - METRICS[selector.name])
    return found


def labels_left(expression: str) -> set[str]:
    """Those that a legend can show: of the aggregations, or of the metric itself where there are none."""
    tree = parsed(expression)
    grouped = [set(grouping.modifier.labels) if grouping.modifier else set() for grouping in groupings(tree)]
    left = set.union(*grouped) if grouped else set.union(*(METRICS[selector.name] for selector in selectors(tree)))
    return left - {"le"}


@pytest.mark.parametrize("target", TARGETS)
def test_every_metric_and_label_is_exposed(target: dict[str, Any]) -> None:
    assert selectors(parsed(target["expr"]))
    assert faults(target["expr"]) == []


@pytest.mark.parametrize("target", TARGETS)
def test_a_legend_shows_labels_that_are_left(target: dict[str, Any]) -> None:
    assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels_left(target["expr"])


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("rate(framelens_request_total[1m])", "framelens_request_total"),
        ('framelens_part_up{name="triton"}', "name"),
        ("sum by (stage) (rate(framelens_requests_total[1m]))", "stage"),
        ("histogram_quantile(0.9, sum by (le) (rate(framelens_stage_seconds_sum[1m])))", "le"),
        ("sum(nv_inference_count) / sum(nv_inference_execution_count)", "nv_inference_execution_count"),
    ],
)
def test_a_fault_would_be_found(expression: str, fault: str) -> None:
    assert faults(expression) == [fault]


def test_it_shows_every_metric_of_the_gateway_but_where_it_says_the_same_twice() -> None:
    shown = {selector.name for target in TARGETS for selector in selectors(parsed(target.values[0]["expr"]))}
    families = {re.sub(r"_(total|bucket|sum|count|created)$", "", name) for name in gateway_metrics()}
    seen = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in shown}
    assert families - seen == {"framelens_shadow_score_shift"}


def test_panels_ask_the_data_source_that_is_provisioned() -> None:
    (source,) = provisioned("datasources/prometheus.yaml")["datasources"]
    asked = [panel["datasource"] for panel in PANELS] + [target.values[0]["datasource"] for target in TARGETS]
    assert {(each["type"], each["uid"]) for each in asked} == {(source["type"], source["uid"])}


def test_panels_lie_beside_each_other() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def test_grafana_finds_what_is_provisioned(gpu: dict[str, Any]) -> None:
    services = gpu["services"]
    mounts = {mount["target"]: mount["source"] for mount in services["grafana"]["volumes"]}
    assert Path(mounts["/etc/grafana/provisioning"]) == GRAFANA / "provisioning"
    (provider,) = provisioned("dashboards/framelens.yaml")["providers"]
    assert Path(mounts[provider["options"]["path"]]) == GRAFANA / "dashboards"
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (Path(mounts[provider["options"]["path"]]) / Path(home).name).is_file()
    (source,) = provisioned("datasources/prometheus.yaml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "http://127.0.0.1:9090/-/ready" in services["prometheus"]["healthcheck"]["test"]
