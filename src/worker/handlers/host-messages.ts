import type { JobErrorCode } from '../../shared/errors.js';
import type { HandlerPortal } from './define-handler.js';

// What the worker and a handler host tell each other. Whatever is JSON travels as its text, so that both sides see the same.

/** From the worker to a host. */
export type WorkerMessage =
  | { readonly type: 'run'; readonly runId: RunId; readonly run: RunOrder }
  | { readonly type: 'abort'; readonly runId: RunId; readonly isTimeout: boolean }
  /** Answered by a beat, through the same listener that hears of runs: a host that is deaf is silent too. */
  | { readonly type: 'ping' }
  | { readonly type: 'answer'; readonly callId: number; readonly answer: CallAnswer };

/** 128 random bits: the code of one run cannot guess that of another, and speak for it. */
export type RunId = string;

export interface RunOrder {
  readonly handler: string;
  /** The event, as JSON. */
  readonly event: string;
  readonly portal: HandlerPortal;
  readonly eventId: string;
  readonly deliveryId: string;
  readonly receivedAtMs: number;
}

export type CallAnswer =
  { readonly ok: true; readonly value?: string | undefined } | { readonly ok: false; readonly failure: RunFailure };

/** From a host to the worker, which parses it: foreign code can write to the same channel. */
export type HostMessage =
  | { readonly type: 'loading'; readonly file: string }
  | { readonly type: 'loaded'; readonly handlers: readonly HandlerFacts[] }
  | { readonly type: 'faults'; readonly faults: readonly string[] }
  /** Says that its event loop moves, and that it hears what it is told. */
  | { readonly type: 'beat' }
  | { readonly type: 'call'; readonly runId: RunId; readonly callId: number; readonly call: HostCall }
  | { readonly type: 'log'; readonly runId: RunId; readonly line: LogLine }
  /** The run was told that it has to stop. */
  | { readonly type: 'aborted'; readonly runId: RunId }
  | { readonly type: 'ended'; readonly runId: RunId; readonly outcome: RunOutcome };

export interface HandlerFacts {
  readonly name: string;
  readonly events: readonly string[];
}

export type HostCall =
  | { readonly kind: 'rest'; readonly method: string; readonly params: string }
  | { readonly kind: 'connector'; readonly connector: string; readonly line: number }
  | { readonly kind: 'once-begin'; readonly step: string; readonly atMostOnce: boolean }
  | { readonly kind: 'once-end'; readonly step: string; readonly result: string }
  | { readonly kind: 'once-undo'; readonly step: string };

export type RunOutcome = { readonly kind: 'done' } | { readonly kind: 'failed'; readonly failure: RunFailure };

export type RunFailure =
  /** An error of ours that came through a call. */
  | {
      readonly kind: 'job';
      readonly code: JobErrorCode;
      readonly detail?: string | undefined;
      readonly retryAfterMs?: number | undefined;
      readonly isSent?: boolean | undefined;
    }
  | {
      readonly kind: 'verdict';
      readonly verdict: 'later' | 'never';
      readonly reason: string;
      readonly afterMs?: number | undefined;
    }
  | { readonly kind: 'error'; readonly reason: string; readonly stack?: string | undefined };

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  /** As JSON. */
  readonly fields: string;
}

/** Of a method or a connector. */
export const NAME_LENGTH_MAX = 200;
export const STEP_LENGTH_MAX = 100;
export const ONCE_BYTES_MAX = 16_384;
export const REASON_LENGTH_MAX = 500;
export const LOG_MESSAGE_LENGTH_MAX = 1000;
export const LOG_FIELDS_LENGTH_MAX = 4096;
export const STACK_LENGTH_MAX = 4096;
