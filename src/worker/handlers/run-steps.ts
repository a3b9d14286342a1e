import { AsyncLocalStorage } from 'node:async_hooks';
import type { JsonValue } from '../../shared/bitrix24/event.js';
import { JobError, type JobErrorCode } from '../../shared/errors.js';
import type { HandlerContext, OnceOptions } from './define-handler.js';
import { ONCE_BYTES_MAX, STEP_LENGTH_MAX, type HostCall } from './host-messages.js';
import { jobErrorIn } from './run-failure.js';

export type CallWorker = (call: HostCall) => Promise<string | undefined>;

export interface RunSteps {
  readonly once: HandlerContext['once'];
  /** A REST call: a step that made one is not taken back. */
  noteCall<Result>(call: Promise<Result>): Promise<Result>;
}

/** After these nothing was done at the portal, so the step may be begun anew. */
const NOTHING_DONE: ReadonlySet<JobErrorCode> = new Set([
  'REST_BUDGET',
  'REST_HOST_REFUSED',
  'REST_REFUSED',
  'PORTAL_SUSPENDED',
  'PORTAL_NOT_INSTALLED',
]);

/**
 * `ctx.once` within a host. The worker holds the notes: *begun* (only of a step that must not run twice) and *ended* with its
 * result. A step whose call proves that nothing was done is taken back; one that ends in any other error stays begun.
 */
export function createRunSteps(callWorker: CallWorker): RunSteps {
  const underWay = new Map<string, Promise<unknown>>();
  const scope = new AsyncLocalStorage<{ hasActed: boolean }>();

  return {
    once<Result extends JsonValue | void>(
      step: string,
      fn: () => Promise<Result> | Result,
      options: OnceOptions = {},
    ): Promise<Result> {
      // Two calls for the same step side by side are one.
      const running = underWay.get(step) ?? runStep(step, fn, options.atMostOnce === true);
      underWay.set(step, running);
      const forget = (): void => void underWay.delete(step);
      running.then(forget, forget);
      return running as Promise<Result>;
    },
    async noteCall(call) {
      const current = scope.getStore();
      try {
        const result = await call;
        if (current) current.hasActed = true;
        return result;
      } catch (error) {
        if (current && !provesNothingDone(error)) current.hasActed = true;
        throw error;
      }
    },
  };

  async function runStep(step: string, fn: () => unknown, atMostOnce: boolean): Promise<unknown> {
    checkStep(step);
    const known = await callWorker({ kind: 'once-begin', step, atMostOnce });
    if (known !== undefined) return decode(known);
    const own = { hasActed: false };
    try {
      const result = encode(step, await scope.run(own, async () => fn()));
      // What the first run gets is what all later ones get, also where JSON cannot say all of it.
      return decode((await callWorker({ kind: 'once-end', step, result })) ?? result);
    } catch (error) {
      if (atMostOnce && !own.hasActed && provesNothingDone(error)) await takeBack(step);
      throw error;
    }
  }

  /** Where this fails the step stays begun, which is safe; the error that ended it says more. */
  async function takeBack(step: string): Promise<void> {
    await callWorker({ kind: 'once-undo', step }).catch(() => undefined);
  }
}

function provesNothingDone(error: unknown): boolean {
  const code = jobErrorIn(error)?.code;
  return code !== undefined && NOTHING_DONE.has(code);
}

function checkStep(step: unknown): void {
  if (typeof step === 'string' && step.length > 0 && step.length <= STEP_LENGTH_MAX) return;
  throw new TypeError(`once: expected a step of 1 to ${STEP_LENGTH_MAX} characters`);
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
