"""Traces of calls, through the gateway and into Triton. Nothing is recorded unless `trace_export` is used."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from framelens_gateway.errors import GatewayError

SERVICE = "framelens-gateway"
_tracer = trace.get_tracer(SERVICE)
_propagator = TraceContextTextMapPropagator()


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
