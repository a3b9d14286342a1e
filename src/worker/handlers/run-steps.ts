import { AsyncLocalStorage } from 'node:async_hooks';
import type { JsonValue } from '../../shared/bitrix24/event.js';
import { JobError, type JobErrorCode } from '../../shared/errors.js';
import type { HandlerContext, OnceOptions } from './define-handler.js';
import { ONCE_BYTES_MAX, STEP_LENGTH_MAX, type HostCall } from './host-messages.js';

export type CallWorker = (call: HostCall) => Promise<string | undefined>;

export interface RunSteps {
  readonly once: HandlerContext['once'];
  /** Makes a REST call as part of the step in which it stands, if any. */
  noteCall<Result>(call: () => Promise<Result>): Promise<Result>;
  areUnderWay(): boolean;
}

/** What a step that holds one call has done so far; undefined for any other step. */
interface OneCall {
  state: 'none' | 'called' | 'refused';
}

/** After these nothing was done at the portal. */
const NOTHING_DONE: ReadonlySet<JobErrorCode> = new Set([
  'REST_BUDGET',
  'REST_HOST_REFUSED',
  'REST_REFUSED',
  'PORTAL_SUSPENDED',
  'PORTAL_NOT_INSTALLED',
]);

/**
 * `ctx.once` within a host. The worker holds the notes: *begun* (only of a step that must not run twice) and *ended* with its
 * result. One that must not run twice, and ends in an error, stays begun: nobody here knows what else its code has done. Only where
 * the handler says that the step is one REST call and nothing else, and that call proves that nothing was done, it is taken back.
 */
export function createRunSteps(callWorker: CallWorker): RunSteps {
  const underWay = new Map<string, Promise<unknown>>();
  const scope = new AsyncLocalStorage<OneCall | undefined>();

  return {
    once<Result extends JsonValue | void>(
      step: string,
      fn: () => Promise<Result> | Result,
      options: OnceOptions = {},
    ): Promise<Result> {
      // Two calls for the same step side by side are one.
      const running = underWay.get(step) ?? runStep(step, fn, options.atMostOnce);
      underWay.set(step, running);
      const forget = (): void => void underWay.delete(step);
      running.then(forget, forget);
      return running as Promise<Result>;
    },
    async noteCall(call) {
      const oneCall = scope.getStore();
      claim(oneCall);
      try {
        return await call();
      } catch (error) {
        if (oneCall && provesNothingDone(error)) oneCall.state = 'refused';
        throw error;
      }
    },
    areUnderWay: () => underWay.size > 0,
  };

  async function runStep(step: string, fn: () => unknown, atMostOnce: OnceOptions['atMostOnce']): Promise<unknown> {
    checkStep(step, atMostOnce);
    const outer = scope.getStore();
    if (outer) throw refusal(outer);
    const known = await callWorker({ kind: 'once-begin', step, atMostOnce: Boolean(atMostOnce) });
    if (known !== undefined) return decode(known);
    const oneCall: OneCall | undefined = atMostOnce === 'one-call' ? { state: 'none' } : undefined;
    try {
      const result = encode(step, await scope.run(oneCall, async () => fn()));
      // What the first run gets is what all later ones get, also where JSON cannot say all of it.
      return decode((await callWorker({ kind: 'once-end', step, result })) ?? result);
    } catch (error) {
      if (oneCall?.state === 'refused') await takeBack(step);
      throw error;
    }
  }

  /** Where this fails the step stays begun, which is safe; the error that ended it says more. */
  async function takeBack(step: string): Promise<void> {
    await callWorker({ kind: 'once-undo', step }).catch(() => undefined);
  }
}

function claim(oneCall: OneCall | undefined): void {
  if (!oneCall) return;
  if (oneCall.state !== 'none') throw refusal(oneCall);
  oneCall.state = 'called';
}

/** What the step holds is not what it says; so it is not taken back either. */
function refusal(oneCall: OneCall): TypeError {
  oneCall.state = 'called';
  return new TypeError("once: a step with atMostOnce: 'one-call' holds one REST call, and no other step");
}

function provesNothingDone(error: unknown): boolean {
  return error instanceof JobError && (error.isSent === false || NOTHING_DONE.has(error.code));
}

function checkStep(step: unknown, atMostOnce: unknown): void {
  if (typeof step !== 'string' || step.length === 0 || step.length > STEP_LENGTH_MAX)
    throw new TypeError(`once: expected a step of 1 to ${STEP_LENGTH_MAX} characters`);
  if (atMostOnce !== undefined && typeof atMostOnce !== 'boolean' && atMostOnce !== 'one-call')
    throw new TypeError("once: atMostOnce: expected true, false or 'one-call'");
}

/** A list around it, so that nothing at all has a text too. */
function encode(step: string, result: unknown): string {
  const text = result === undefined ? '[]' : JSON.stringify([result]);
  if (Buffer.byteLength(text) > ONCE_BYTES_MAX) throw new JobError('ONCE_TOO_LARGE', `step ${step}`);
  return text;
}

function decode(text: string): unknown {
  const [result] = JSON.parse(text) as readonly unknown[];
  return result;
}
