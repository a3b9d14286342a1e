import { setTimeout as sleep } from 'node:timers/promises';
import type { Response } from 'express';

/** What stands in the place of an answer. After `cut`, `html` and `not-json` the work is done, and only its answer is spoilt. */
export type FaultyAnswer =
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | { readonly kind: 'hang' | 'reset' | 'cut' | 'html' | 'not-json' };

/** Errors with which a portal refuses every call for as long as it lasts. */
export type Refusal = 'PAYMENT_REQUIRED' | 'PORTAL_DELETED' | 'ACCESS_DENIED' | 'OVERLOAD_LIMIT';

interface Planned {
  readonly answer: FaultyAnswer;
  /** null for any. */
  readonly method: string | null;
  left: number;
}

/** What is wrong with a server of the simulator; may be changed at any time. */
export class Faults {
  /** How long every answer takes. */
  delayMs = 0;
  refusal: Refusal | null = null;
  readonly #planned: Planned[] = [];

  /** The next `count` answers, those to `method` where one is named, are these instead. */
  next(count: number, answer: FaultyAnswer, method: string | null = null): void {
    this.#planned.push({ answer, method, left: count });
  }

  take(method: string): FaultyAnswer | undefined {
    const planned = this.#planned.find((one) => one.left > 0 && (one.method === null || one.method === method));
    if (planned) planned.left -= 1;
    return planned?.answer;
  }

  clear(): void {
    this.delayMs = 0;
    this.refusal = null;
    this.#planned.length = 0;
  }
}

export interface JsonAnswer {
  readonly status: number;
  readonly body: unknown;
}

export interface FaultyWork {
  readonly faults: Faults;
  readonly method: string;
  readonly response: Response;
  readonly work: () => JsonAnswer | Promise<JsonAnswer>;
}

/** Does the work and answers, or what the faults make of that. */
export async function answerUnderFaults({ faults, method, response, work }: FaultyWork): Promise<void> {
  const fault = faults.take(method);
  if (faults.delayMs > 0) await sleep(faults.delayMs, undefined, { ref: false });
  if (fault?.kind === 'hang') return;
  if (fault?.kind === 'reset') {
    response.socket?.destroy();
    return;
  }
  if (fault?.kind === 'status') {
    const { status, headers = {} } = fault;
    response.status(status).set(headers).json({ error: 'INTERNAL_SERVER_ERROR', error_description: 'Internal error' });
    return;
  }
  const { status, body } = await work();
  if (fault) spoil(response, fault.kind, JSON.stringify(body));
  else if (!response.destroyed) response.status(status).json(body);
}

function spoil(response: Response, kind: 'cut' | 'html' | 'not-json', text: string): void {
  switch (kind) {
    case 'cut':
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length + 100 });
      response.write(text.slice(0, text.length / 2), () => response.socket?.destroy());
      return;
    case 'html':
      response.status(200).type('html').send('<!doctype html><title>Maintenance</title><p>We will be back soon.');
      return;
    case 'not-json':
      response.status(200).type('json').send(text.slice(0, -1));
      return;
    default:
      kind satisfies never;
  }
}
