"""One trace through a client and a worker; the SDK of OpenTelemetry prints its spans.

Needs `pip install 'gearman-trio[otel]' opentelemetry-sdk`.  Try: take `carrying_context` away; let `resize` raise.
"""

import trio
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

import gearman_trio
from gearman_trio.tracing import carrying_context, trace_jobs, traced

abilities = gearman_trio.Abilities(serializer=carrying_context(gearman_trio.JSON))


@abilities.function
async def resize(width: int, height: int) -> str:
    return f"{width}x{height}"


def shown(span: ReadableSpan) -> str:
    context = span.get_span_context()
    parent = "nothing" if span.parent is None else f"{span.parent.span_id:x}"
    return f"{span.name}: {'?' if context is None else f'{context.span_id:x}'} under {parent}\n"


async def main() -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=shown)))
    trace.set_tracer_provider(provider)
    async with (
        gearman_trio.open_server(port=0) as server,
        gearman_trio.open_worker(abilities, server.url, middleware=[trace_jobs()]),
        gearman_trio.open_client(server.url) as client,
    ):
        with trace.get_tracer("shop").start_as_current_span("upload"):
            print(await traced(client).run(resize, 640, 480))


trio.run(main)
