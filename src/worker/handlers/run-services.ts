import { setMaxListeners } from 'node:events';
import type { PortalCalls, RestClient, RestParams } from '../../shared/bitrix24/rest/portal-calls.js';
import { errorMessage } from '../../shared/caught-error.js';
import type { ConnectorStates } from '../../shared/connector-states.js';
import { JobError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logger.js';
import { withTimeLimit } from '../../shared/time-limit.js';
import { REASON_LENGTH_MAX, type CallAnswer, type HostCall, type LogLine, type RunOrder } from './host-messages.js';
import type { HostTask } from './host-process.js';
import type { OncePlace, OnceStore } from './once-store.js';
import { toJobFailure } from './run-failure.js';
import { untilAborted } from '../../shared/until-aborted.js';

export interface RunServicesDeps {
  readonly rest: RestClient;
  readonly connectorStates: Pick<ConnectorStates, 'isOn'>;
  readonly once: OnceStore;
  readonly logger: Logger;
}

export interface ServedRun {
  readonly order: RunOrder;
  /** `handler-<name>` */
  readonly effect: string;
  /** Another one for each run. */
  readonly id: string;
  readonly signal: AbortSignal;
}

/** Notes are still taken in the moment that a run has after its deadline. */
const NOTE_WITHIN_MS = 5000;

/** What the worker does for a run in a host: all that needs a token or Redis. */
export function createRunServices(deps: RunServicesDeps, run: ServedRun): HostTask {
  const { order } = run;
  const signal = AbortSignal.any([run.signal]);
  // A run may make as many calls side by side as it likes; that is no leak.
  setMaxListeners(0, signal);
  const { memberId } = order.portal;
  let calls: PortalCalls | undefined;

  return {
    order,
    async serve(call) {
      try {
        return answerWith(await carryOut(call));
      } catch (error) {
        return { ok: false, failure: failureOf(error) };
      }
    },
    log({ level, message, fields }) {
      deps.logger[level](
        { event: 'handler.log', handler: order.handler, ...aboutOf(order), fields: toFields(fields) },
        message,
      );
    },
  };

  function carryOut(call: HostCall): Promise<string | undefined> {
    switch (call.kind) {
      case 'rest':
        return untilAborted(signal, callRest(call.method, call.params));
      case 'connector':
        return untilAborted(signal, isOn(call.connector, call.line));
      case 'once-begin':
        signal.throwIfAborted();
        return untilAborted(signal, deps.once.begin(placeOf(call.step), call.atMostOnce));
      case 'once-end':
        return note(deps.once.end(placeOf(call.step), call.result));
      case 'once-undo':
        return note(deps.once.undo(placeOf(call.step)));
      default:
        return call satisfies never;
    }
  }

  async function callRest(method: string, params: string): Promise<string> {
    calls ??= deps.rest.open({ memberId, runKey: `${order.eventId}.${run.effect}`, signal });
    // The host has made the text from an object.
    return JSON.stringify(await calls.call(method, JSON.parse(params) as RestParams));
  }

  async function isOn(connector: string, line: number): Promise<string> {
    return String(await deps.connectorStates.isOn(memberId, connector, line));
  }

  function placeOf(step: string): OncePlace {
    return { eventId: order.eventId, effect: run.effect, step, run: run.id };
  }
}

async function note(written: Promise<string | void>): Promise<string | undefined> {
  return (await withTimeLimit(written, NOTE_WITHIN_MS, 'the note of a step')) ?? undefined;
}

function answerWith(value: string | undefined): CallAnswer {
  return { ok: true, ...(value === undefined ? {} : { value }) };
}

function failureOf(error: unknown): Extract<CallAnswer, { ok: false }>['failure'] {
  if (error instanceof JobError) return toJobFailure(error);
  return { kind: 'error', reason: errorMessage(error).slice(0, REASON_LENGTH_MAX) };
}

function aboutOf({ eventId, deliveryId, portal }: RunOrder): Record<string, string> {
  return { eventId, deliveryId, memberId: portal.memberId };
}

function toFields(text: LogLine['fields']): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Foreign code can write to the channel past our own side of it.
    return undefined;
  }
}
