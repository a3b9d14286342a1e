import { setMaxListeners } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BitrixEvent } from '../../shared/bitrix24/event.js';
import type { Handler } from './define-handler.js';
import type { CallAnswer, HostCall, HostMessage, RunId, RunOrder, RunOutcome, WorkerMessage } from './host-messages.js';
import { createRunContext } from './run-context.js';
import { toFailure, toJobError } from './run-failure.js';

export interface HostRunsDeps {
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly send: (message: HostMessage) => void;
}

interface PendingCall {
  readonly runId: RunId;
  resolve(value: string | undefined): void;
  reject(error: unknown): void;
}

const NOT_AWAITED = 'the run has ended before its calls: await all calls of ctx';

/** The runs that are under way in a host, and the calls for which they wait. */
export class HostRuns {
  readonly #deps: HostRunsDeps;
  readonly #runs = new Map<RunId, AbortController>();
  readonly #calls = new Map<number, PendingCall>();
  #lastCallId = 0;

  constructor(deps: HostRunsDeps) {
    this.#deps = deps;
  }

  take(message: WorkerMessage): void {
    switch (message.type) {
      case 'run':
        void this.#run(message.runId, message.run);
        return;
      case 'abort':
        this.#runs.get(message.runId)?.abort(abortReason(message.isTimeout));
        this.#deps.send({ type: 'aborted', runId: message.runId });
        return;
      case 'ping':
        this.#deps.send({ type: 'beat' });
        return;
      case 'answer':
        this.#settleCall(message.callId, message.answer);
        return;
      default:
        message satisfies never;
    }
  }

  async #run(runId: RunId, order: RunOrder): Promise<void> {
    const aborter = new AbortController();
    // Each request that a handler makes may listen to it.
    setMaxListeners(0, aborter.signal);
    this.#runs.set(runId, aborter);
    const outcome = await this.#carryOut(runId, order, aborter.signal);
    // A promise that the handler forgot, and that was rejected by now, ends this process: better while the run still counts.
    await nextTurn();
    this.#runs.delete(runId);
    this.#dropCalls(runId);
    this.#deps.send({ type: 'ended', runId, outcome });
  }

  async #carryOut(runId: RunId, order: RunOrder, signal: AbortSignal): Promise<RunOutcome> {
    try {
      const handler = this.#deps.handlers.get(order.handler);
      if (!handler) throw new Error(`there is no longer a handler called ${order.handler}`);
      const { context, hasStepsUnderWay } = createRunContext({
        order,
        signal,
        callWorker: (call) => this.#call(runId, call),
        writeLog: (line) => this.#deps.send({ type: 'log', runId, line }),
      });
      // Written by the worker a moment ago.
      await handler.run(JSON.parse(order.event) as BitrixEvent, context);
      if (this.#callsOf(runId).length > 0 || hasStepsUnderWay()) throw new Error(NOT_AWAITED);
      return { kind: 'done' };
    } catch (error) {
      return { kind: 'failed', failure: toFailure(error) };
    }
  }

  #call(runId: RunId, call: HostCall): Promise<string | undefined> {
    if (!this.#runs.has(runId)) return Promise.reject(new Error(NOT_AWAITED));
    this.#lastCallId += 1;
    const callId = this.#lastCallId;
    return new Promise((resolve, reject) => {
      this.#calls.set(callId, { runId, resolve, reject });
      this.#deps.send({ type: 'call', runId, callId, call });
    });
  }

  #callsOf(runId: RunId): readonly number[] {
    return [...this.#calls].filter(([, call]) => call.runId === runId).map(([callId]) => callId);
  }

  /** What they come to is told to nobody: a rejection that no code waits for would end this process. */
  #dropCalls(runId: RunId): void {
    for (const callId of this.#callsOf(runId)) this.#calls.delete(callId);
  }

  #settleCall(callId: number, answer: CallAnswer): void {
    const call = this.#calls.get(callId);
    this.#calls.delete(callId);
    if (answer.ok) call?.resolve(answer.value);
    else call?.reject(toError(answer.failure));
  }
}

function toError(failure: Extract<CallAnswer, { ok: false }>['failure']): Error {
  return failure.kind === 'error' ? new Error(failure.reason) : toJobError(failure);
}

function abortReason(isTimeout: boolean): DOMException {
  return isTimeout
    ? new DOMException('the run is past its deadline', 'TimeoutError')
    : new DOMException('the worker stops', 'AbortError');
}
