import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  context,
  diag,
  propagation,
  trace,
  type Context,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  NodeTracerProvider,
  ParentBasedSampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  type ReadableSpan,
  type Sampler,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-node';
import { BullMQOtel } from 'bullmq-otel';
import { JobError } from '../errors.js';
import type { Tracing } from './tracing.js';

export interface OtelDeps {
  /** Spans go to `/v1/traces` below it, as JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp). */
  readonly endpoint: string;
  /** Of all traces, from 0 to 1. */
  readonly share: number;
  readonly serviceName: string;
  readonly onFailure: (reason: string) => void;
}

const KINDS = { server: SpanKind.SERVER, internal: SpanKind.INTERNAL, client: SpanKind.CLIENT } as const;
const EXPORT_TIMEOUT_MS = 5000;
const TEXTS: ReadonlySet<string> = new Set(['bullmq.job.failed.reason', 'bullmq.job.result']);

/** OpenTelemetry keeps its provider for the whole process, so this may be called once in it. */
export function createOtelTracing({ endpoint, share, serviceName, onFailure }: OtelDeps): Tracing {
  diag.setLogger({
    error: (message) => onFailure(reasonIn(message)),
    warn: () => undefined,
    info: () => undefined,
    debug: () => undefined,
    verbose: () => undefined,
  });
  const exporter = new OTLPTraceExporter({ url: `${endpoint}/v1/traces`, timeoutMillis: EXPORT_TIMEOUT_MS });
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName }),
    sampler: new ParentBasedSampler({ root: rootSampler(share) }),
    spanProcessors: [new BatchSpanProcessor(withoutTexts(exporter), { exportTimeoutMillis: EXPORT_TIMEOUT_MS })],
  });
  provider.register();
  const tracer = provider.getTracer('b24-events');
  return {
    telemetry: new BullMQOtel({ tracerName: 'bullmq' }),
    inSpan: (start, work) =>
      tracer.startActiveSpan(
        start.name,
        { kind: KINDS[start.kind], attributes: { ...start.attributes } },
        async (span) => {
          try {
            return await work();
          } catch (error) {
            span.setStatus({ code: SpanStatusCode.ERROR, message: codeOf(error) });
            throw error;
          } finally {
            span.end();
          }
        },
      ),
    note(attributes) {
      trace.getActiveSpan()?.setAttributes({ ...attributes });
    },
    carry() {
      const carrier: { traceparent?: string } = {};
      propagation.inject(context.active(), carrier);
      return carrier.traceparent;
    },
    resume: (traceparent, work) => context.with(contextOf(traceparent), work),
    stop: () => provider.shutdown(),
  };
}

/**
 * What a job failed with may quote the event, and BullMQ tells it as an attribute and as an event of the span. Neither leaves the
 * process: the log and the job have it, and the code says of what kind it is.
 */
function withoutTexts(exporter: SpanExporter): SpanExporter {
  return {
    export: (spans, done) => exporter.export(spans.map(withoutText), done),
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => exporter.shutdown(),
  };
}

function withoutText(span: ReadableSpan): ReadableSpan {
  const attributes = Object.fromEntries(Object.entries(span.attributes).filter(([name]) => !TEXTS.has(name)));
  const events = span.events.map(({ name, time }) => ({ name, time }));
  return Object.create(span, { attributes: { value: attributes }, events: { value: events } }) as ReadableSpan;
}

function codeOf(error: unknown): string {
  if (error instanceof JobError) return error.code;
  return error instanceof Error ? error.name : 'Error';
}

/** BullMQ makes spans of its own looks at the queue, too: what no POST began is not worth a trace. */
function rootSampler(share: number): Sampler {
  const ofPosts = new TraceIdRatioBasedSampler(share);
  return {
    shouldSample: (...[parent, traceId, , kind]) =>
      kind === SpanKind.SERVER ? ofPosts.shouldSample(parent, traceId) : { decision: SamplingDecision.NOT_RECORD },
    toString: () => `posts ${share}`,
  };
}

function contextOf(traceparent: string | undefined): Context {
  return traceparent === undefined ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, { traceparent });
}

/** The SDK reports an error as JSON of all that it has, a stack and headers among it. */
function reasonIn(message: string): string {
  return /"message":"([^"]*)"/.exec(message)?.[1] ?? 'the exporter reports an error';
}
