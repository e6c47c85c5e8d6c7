"""One trace of a call, from the gateway into Triton's engines, at a collector that speaks OTLP over HTTP."""

import gzip
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from framelens_client.v1 import framelens_pb2 as pb

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OTHER_TRACE = "0af7651916cd43dd8448eb211c80319d"
# Who is called by whom.
PARENTS = {
    ("Recognize", CALLER),
    ("recognizer", "Recognize"),
    ("search", "Recognize"),
    ("InferRequest", "recognizer"),
    ("recognizer", "InferRequest"),
    ("detector", "recognizer"),
    ("embedder_effnet_lite0", "recognizer"),
}
# Both send their spans every 5 s.
ARRIVES_WITHIN_S = 60


class Collector(http.server.ThreadingHTTPServer):
    """Keeps each span as (trace, id, parent, name, failed)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Export)
        self.spans: list[tuple[str, str, str, str, bool]] = []

    def of(self, trace: str) -> list[tuple[str, str, str, str, bool]]:
        return [span for span in self.spans if span[0] == trace]

    def parents(self, trace: str) -> set[tuple[str, str]]:
        """Each name with that of its parent, or its parent's id where that span is not here."""
        spans = self.of(trace)
        names = {identity: name for _, identity, _, name, _ in spans}
        return {(name, names.get(parent, parent)) for _, _, parent, name, _ in spans}


class _Export(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.spans += _of_json(body) if "json" in self.headers["content-type"] else _of_protobuf(body)  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _of_json(body: bytes) -> list[tuple[str, str, str, str, bool]]:
    return [
        (span["traceId"], span["spanId"], span.get("parentSpanId", ""), span["name"], False)
        for resource in json.loads(body)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def _of_protobuf(body: bytes) -> list[tuple[str, str, str, str, bool]]:
    return [
        (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.name, span.status.code == 2)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def ask(address: str, picture: bytes, traceparent: str) -> None:
    with grpc.insecure_channel(address) as channel:
        method = channel.unary_unary(
            "/framelens.v1.VisualSearch/Recognize",
            pb.RecognizeRequest.SerializeToString,
            pb.RecognizeResponse.FromString,
        )
        method(pb.RecognizeRequest(picture=picture), metadata=[("traceparent", traceparent)], timeout=60)


def test_a_call_is_one_trace_from_its_caller_to_the_engines(
    tmp_path: Path, start_stack: Callable, collector: Collector, sample: Callable, anew: Callable
) -> None:
    with start_stack(tmp_path, f"--otlp-endpoint=http://127.0.0.1:{collector.server_address[1]}") as stack:
        ask(stack["grpc"], anew(sample("coffee.png")), f"00-{OTHER_TRACE}-{CALLER}-00")
        ask(stack["grpc"], anew(sample("coffee.png")), f"00-{TRACE}-{CALLER}-01")
        with pytest.raises(grpc.RpcError, match="INVALID_PICTURE|picture"):
            ask(stack["grpc"], b"no picture", f"00-{TRACE}-{CALLER}-01")
        answered, end = 1, time.monotonic() + ARRIVES_WITHIN_S
        # The spans of one process come together, those of different ones do not.
        while not collector.parents(TRACE) >= PARENTS and time.monotonic() < end:
            # Triton does not export the engines' spans of every call; why is not known. One call alone would not do.
            ask(stack["grpc"], anew(sample("coffee.png")), f"00-{TRACE}-{CALLER}-01")
            answered += 1
            time.sleep(0.5)
    assert collector.parents(TRACE) >= PARENTS
    spans = collector.of(TRACE)
    assert sorted(failed for *_, name, failed in spans if name == "Recognize") == [False] * answered + [True]
    assert not collector.of(OTHER_TRACE), "its caller has chosen not to trace it"
