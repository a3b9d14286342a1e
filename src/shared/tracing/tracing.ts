import type { Telemetry } from 'bullmq';

/**
 * Traces by OpenTelemetry: one for each POST, from its arrival to the last effect. The delivery carries the place in its trace
 * (`traceparent`, https://www.w3.org/TR/trace-context/) through the journal; through Redis BullMQ's own hook does.
 */
export interface Tracing {
  /** For queues and workers; undefined where traces are off. */
  readonly telemetry: Telemetry | undefined;
  /** Runs `work` in a span, below the one that is under way. A rejection is noted and passed on. */
  inSpan<Result>(span: SpanStart, work: () => Promise<Result>): Promise<Result>;
  /** Tells more of the span under way; never a secret. */
  note(attributes: SpanAttributes): void;
  /** The `traceparent` of the span under way, to be kept where it would be lost. */
  carry(): string | undefined;
  /** Runs `work` as if it was under way where this `traceparent` was carried from. */
  resume<Result>(traceparent: string | undefined, work: () => Result): Result;
  /** Sends what is still here, within a bound. */
  stop(): Promise<void>;
}

export type SpanAttributes = Readonly<Record<string, string | number>>;

export interface SpanStart {
  readonly name: string;
  /** Only a `server` span begins a trace; anything else without one above it is left out. */
  readonly kind: 'server' | 'internal' | 'client';
  readonly attributes?: SpanAttributes;
}

export const withoutTracing: Tracing = {
  telemetry: undefined,
  inSpan: (_span, work) => work(),
  note: () => undefined,
  carry: () => undefined,
  resume: (_traceparent, work) => work(),
  stop: () => Promise.resolve(),
};
