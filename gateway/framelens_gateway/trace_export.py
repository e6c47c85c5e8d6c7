"""Sends traces to a collector; apart from `tracing`, for what it takes is loaded only where one is configured."""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

from framelens_gateway.tracing import SERVICE


def export_traces(endpoint: str, share: float) -> TracerProvider:
    """Records spans from now on and sends them to a collector; `shutdown` of what is returned sends the last ones.

    `share` is of the calls whose caller does not say whether they are traced.
    """
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: SERVICE}), sampler=ParentBasedTraceIdRatio(share))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    trace.set_tracer_provider(provider)
    return provider
