import type { JsonValue } from '../../shared/bitrix24/event.js';
import type { HandlerContext, HandlerLog } from './define-handler.js';
import {
  LOG_FIELDS_LENGTH_MAX,
  LOG_MESSAGE_LENGTH_MAX,
  NAME_LENGTH_MAX,
  type LogLine,
  type RunOrder,
} from './host-messages.js';
import { createRunSteps, type CallWorker } from './run-steps.js';

export interface RunContextDeps {
  readonly order: RunOrder;
  readonly signal: AbortSignal;
  readonly callWorker: CallWorker;
  readonly writeLog: (line: LogLine) => void;
}

export interface RunContext {
  readonly context: HandlerContext;
  /** Of `once`, begun and not ended. */
  readonly hasStepsUnderWay: () => boolean;
}

/** Larger than any call that Bitrix24 takes. */
const PARAMS_LENGTH_MAX = 32 * 1024 * 1024;

/** What a handler gets besides the event. Whatever needs a token or Redis is asked of the worker. */
export function createRunContext({ order, signal, callWorker, writeLog }: RunContextDeps): RunContext {
  const { portal, eventId, deliveryId, receivedAtMs } = order;
  const steps = createRunSteps(callWorker);
  const context: HandlerContext = {
    portal,
    eventId,
    deliveryId,
    receivedAtMs,
    signal,
    once: steps.once,
    b24: {
      call: (method, params = {}) => steps.noteCall(() => callRest(method, params)),
    },
    connectors: {
      isOn: askForConnector,
    },
    log: createLog(writeLog),
  };
  return { context, hasStepsUnderWay: () => steps.areUnderWay() };

  async function askForConnector(connector: unknown, line: unknown): Promise<boolean> {
    if (!isName(connector) || !Number.isInteger(line))
      throw new TypeError('connectors.isOn: expected the id of a connector and the whole number of an open line');
    return (await callWorker({ kind: 'connector', connector, line: Number(line) })) === 'true';
  }

  async function callRest(method: unknown, params: unknown): Promise<JsonValue> {
    if (!isName(method)) throw new TypeError('b24.call: expected the name of a method');
    const text = JSON.stringify(params);
    if (!text?.startsWith('{')) throw new TypeError(`b24.call: expected the parameters of ${method} as an object`);
    if (text.length > PARAMS_LENGTH_MAX) throw new RangeError(`b24.call: the parameters of ${method} are too large`);
    // Written by the worker, from what the portal answered.
    return JSON.parse((await callWorker({ kind: 'rest', method, params: text })) ?? 'null') as JsonValue;
  }
}

/** JavaScript does not check what it passes; a message that the worker does not understand would get no answer. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= NAME_LENGTH_MAX;
}

/** A line that cannot be written must not fail the run that wrote it: so it takes whatever it is given. */
function createLog(writeLog: (line: LogLine) => void): HandlerLog {
  const at =
    (level: LogLine['level']) =>
    (message: unknown, fields: unknown = {}): void =>
      writeLog({ level, message: messageOf(message), fields: textOf(fields) });
  return { info: at('info'), warn: at('warn'), error: at('error') };
}

function messageOf(message: unknown): string {
  try {
    return String(message).slice(0, LOG_MESSAGE_LENGTH_MAX);
  } catch {
    return 'a message that is not what a text can say';
  }
}

function textOf(fields: unknown): string {
  try {
    const text = JSON.stringify(fields) ?? '{}';
    return text.length <= LOG_FIELDS_LENGTH_MAX ? text : '{"fields":"too large to be logged"}';
  } catch {
    return '{"fields":"not what JSON can say"}';
  }
}
