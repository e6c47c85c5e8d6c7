"""Traces of calls, through the gateway and into Triton. Nothing is recorded unless `export_traces` was called."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from framelens_gateway.errors import GatewayError

_SERVICE = "framelens-gateway"
_tracer = trace.get_tracer(_SERVICE)
_propagator = TraceContextTextMapPropagator()


def export_traces(endpoint: str, share: float) -> TracerProvider:
    """Records spans from now on and sends them to a collector; `shutdown` of what is returned sends the last ones.

    `share` is of the calls whose caller does not say whether they are traced.
    """
    provider = TracerProvider(
        resource=Resource.create({SERVICE_NAME: _SERVICE}), sampler=ParentBasedTraceIdRatio(share)
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    trace.set_tracer_provider(provider)
    return provider


@contextmanager
def call_span(name: str, headers: Mapping[str, str]) -> Iterator[Span]:
    """Of a call that has arrived; it belongs to the trace that its headers (W3C Trace Context) name, if any."""
    with _recorded(_tracer.start_span(name, _propagator.extract(headers), SpanKind.SERVER)) as span:
        yield span


@contextmanager
def part_span(name: str, kind: SpanKind = SpanKind.INTERNAL) -> Iterator[Span]:
    """Of a part of the current call."""
    with _recorded(_tracer.start_span(name, kind=kind)) as span:
        yield span


def trace_headers() -> dict[str, str]:
    """What tells another server which trace a request belongs to; empty where it is not traced."""
    headers: dict[str, str] = {}
    if trace.get_current_span().get_span_context().trace_flags.sampled:
        _propagator.inject(headers)
    return headers


@contextmanager
def _recorded(span: Span) -> Iterator[Span]:
    """How it ended is part of it: a failure by its reason."""
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield span
        except GatewayError as error:
            span.set_status(Status(StatusCode.ERROR, f"{error.reason}: {error.message}"))
            raise
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
