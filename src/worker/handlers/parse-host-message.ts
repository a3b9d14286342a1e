import { z } from 'zod';
import { JOB_ERRORS, type JobErrorCode } from '../../shared/errors.js';
import {
  LOG_FIELDS_LENGTH_MAX,
  LOG_MESSAGE_LENGTH_MAX,
  NAME_LENGTH_MAX,
  ONCE_BYTES_MAX,
  REASON_LENGTH_MAX,
  STACK_LENGTH_MAX,
  STEP_LENGTH_MAX,
  type HandlerFacts,
  type HostCall,
  type HostMessage,
  type LogLine,
  type RunFailure,
  type RunOutcome,
} from './host-messages.js';

// Apart from the messages, because a host that loads no zod starts in half the time.

/** undefined for what is no message of ours. */
export function parseHostMessage(message: unknown): HostMessage | undefined {
  const result = hostMessage.safeParse(message);
  return result.success ? result.data : undefined;
}

/** The call that waits for an answer, where a message of ours cannot be read as a whole. */
export function callIn(message: unknown): { readonly runId: string; readonly callId: number } | undefined {
  const result = callPlace.safeParse(message);
  return result.success ? result.data : undefined;
}

const runId = z.string().regex(/^[0-9a-f]{32}$/);
const callId = z.int().nonnegative();
const callPlace = z.object({ type: z.literal('call'), runId, callId });
const step = z.string().min(1).max(STEP_LENGTH_MAX);
const reason = z.string().max(REASON_LENGTH_MAX);
const jobErrorCode = z.custom<JobErrorCode>((value) => typeof value === 'string' && Object.hasOwn(JOB_ERRORS, value));

const hostCall: z.ZodType<HostCall> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('rest'), method: z.string().max(NAME_LENGTH_MAX), params: z.string() }),
  z.object({ kind: z.literal('connector'), connector: z.string().max(NAME_LENGTH_MAX), line: z.int() }),
  z.object({ kind: z.literal('once-begin'), step, atMostOnce: z.boolean() }),
  z.object({ kind: z.literal('once-end'), step, result: z.string().max(ONCE_BYTES_MAX) }),
  z.object({ kind: z.literal('once-undo'), step }),
]);

const runFailure: z.ZodType<RunFailure> = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('job'),
    code: jobErrorCode,
    detail: reason.optional(),
    retryAfterMs: z.number().optional(),
    isSent: z.boolean().optional(),
  }),
  z.object({
    kind: z.literal('verdict'),
    verdict: z.enum(['later', 'never']),
    reason,
    afterMs: z.number().optional(),
  }),
  z.object({ kind: z.literal('error'), reason, stack: z.string().max(STACK_LENGTH_MAX).optional() }),
]);

const runOutcome: z.ZodType<RunOutcome> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('done') }),
  z.object({ kind: z.literal('failed'), failure: runFailure }),
]);

const logLine: z.ZodType<LogLine> = z.object({
  level: z.enum(['info', 'warn', 'error']),
  message: z.string().max(LOG_MESSAGE_LENGTH_MAX),
  fields: z.string().max(LOG_FIELDS_LENGTH_MAX),
});

const handlerFacts: z.ZodType<HandlerFacts> = z.object({ name: z.string(), events: z.array(z.string()) });

const hostMessage: z.ZodType<HostMessage> = z.discriminatedUnion('type', [
  z.object({ type: z.literal('loading'), file: z.string() }),
  z.object({ type: z.literal('loaded'), handlers: z.array(handlerFacts) }),
  z.object({ type: z.literal('faults'), faults: z.array(z.string()) }),
  z.object({ type: z.literal('beat') }),
  z.object({ type: z.literal('call'), runId, callId, call: hostCall }),
  z.object({ type: z.literal('log'), runId, line: logLine }),
  z.object({ type: z.literal('aborted'), runId }),
  z.object({ type: z.literal('ended'), runId, outcome: runOutcome }),
]);
