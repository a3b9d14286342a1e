import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { errorCode, errorMessage } from '../../src/shared/caught-error.js';
import { messageBody } from '../support/system.js';
import { waitUntil } from '../support/wait-until.js';

export interface LoadOptions {
  readonly url: string;
  readonly perSecond: number;
  /** The id of the first message; each has the next one. */
  readonly from?: number;
}

/** Longer than the proxy holds a request. */
const POST_WITHIN_MS = 90_000;
const HEADERS = { 'content-type': 'application/x-www-form-urlencoded' };

/** Posts events at a steady rate, whatever becomes of those before, as Bitrix24 does; and never one twice. */
export class SteadyLoad {
  readonly accepted: number[] = [];
  /** Every post that was not answered with 200, in words. */
  readonly turnedAway: string[] = [];
  /** A connection for each: idle ones are closed where the proxy ends, and nobody would send again what was just sent on one. */
  readonly #agent = new Agent({ connect: { timeout: POST_WITHIN_MS }, pipelining: 0 });
  readonly #underway = new Set<Promise<void>>();
  readonly #running: Promise<void>;
  #isStopped = false;

  constructor(options: LoadOptions) {
    this.#running = this.#run(options);
  }

  /** Until so many more are accepted. */
  async more(count: number): Promise<void> {
    const wanted = this.accepted.length + count;
    await waitUntil(`${count} more events are accepted`, () => this.accepted.length >= wanted, { timeoutMs: 60_000 });
  }

  /** Resolves when each post has its answer. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    await Promise.all(this.#underway);
    if (!this.#agent.closed) await this.#agent.close();
  }

  async #run({ url, perSecond, from = 1 }: LoadOptions): Promise<void> {
    const startedAtMs = performance.now();
    for (let sent = 0; !this.#isStopped; sent += 1) {
      const posting = this.#post(url, from + sent).finally(() => this.#underway.delete(posting));
      this.#underway.add(posting);
      await sleep(Math.max(0, startedAtMs + ((sent + 1) * 1000) / perSecond - performance.now()));
    }
  }

  async #post(url: string, messageId: number): Promise<void> {
    const atMs = Date.now();
    const outcome = await this.#send(url, messageBody(messageId)).catch(
      (error: unknown) => errorCode(error) ?? errorMessage(error),
    );
    if (outcome === 200) this.accepted.push(messageId);
    else this.turnedAway.push(`${new Date(atMs).toISOString()} message ${messageId}: ${outcome}`);
  }

  async #send(url: string, body: string): Promise<number> {
    const signal = AbortSignal.timeout(POST_WITHIN_MS);
    const answer = await request(url, { method: 'POST', headers: HEADERS, body, dispatcher: this.#agent, signal });
    await answer.body.dump();
    return answer.statusCode;
  }
}
