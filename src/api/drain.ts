import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage } from '../shared/caught-error.js';
import { ConfigError } from '../shared/config.js';
import type { Delivery } from '../shared/delivery.js';
import { createKeys } from '../shared/keys.js';
import type { Logger } from '../shared/logger.js';
import { openTracedQueue, type DeliveryQueue } from '../shared/queues.js';
import type { RedisAddress } from '../shared/redis-address.js';
import { connectFailingFast, type Redis } from '../shared/redis.js';
import type { SecretKeys } from '../shared/secret-keys.js';
import { addDeliveries, loadOf } from './delivery-queue.js';
import type { BacklogState } from './backlog.js';
import { DrainPositions, type DrainPlace } from './drain-positions.js';
import { StorageError } from './journal.js';
import type { JournalRecord } from './journal-folder.js';
import type { Journals } from './journals.js';
import { QueueGate } from './queue-gate.js';
import { RedisContact } from './redis-contact.js';
import { Signal } from './signal.js';
import { withTimeLimit } from '../shared/time-limit.js';
import type { Tracing } from '../shared/tracing/tracing.js';

export interface DrainDeps {
  readonly journals: Pick<Journals, 'sources' | 'remove' | 'waitForRecords' | 'wake'>;
  readonly redis: RedisAddress;
  readonly queuePrefix: string;
  readonly secretKeys: SecretKeys;
  readonly logger: Logger;
  readonly tracing: Tracing;
  /** How long a confirmed record is held, to be sent again to a Redis that turns out to be another one. */
  readonly holdMs?: number;
}

const HOLD_MS = 60_000;
const ADD_TIMEOUT_MS = 3000;
const IDLE_MS = 1000;
const GATE_CLOSED_MS = 250;
const BACKOFF_MS = { first: 50, max: 1000 } as const;
const NO_CONNECTION = 'no connection to Redis';
const FIRST_CONTACT_MS = 1500;
/** What close waits for: an empty journal, the batch under way, the queue. */
const CLOSE_MS = { empty: 1000, batch: 3500, queue: 1000 } as const;

/**
 * Moves records from the journals to the queue `deliveries`, for as long as the process lives; whatever fails is tried again.
 *
 * One round looks at Redis if that is due (then: sends again all that is held if it is another one, else deletes what was held
 * long enough), and sends the next batch of the oldest journal that has any. A batch counts up to its first failure; from
 * there on it is sent again, so that no later event goes before an earlier one that is not confirmed.
 */
export class Drain {
  readonly #deps: DrainDeps;
  readonly #redis: Redis;
  readonly #queue: DeliveryQueue;
  readonly #contact: RedisContact;
  readonly #gate: QueueGate;
  readonly #positions: DrainPositions;
  readonly #retry = new Signal();
  #failures = 0;
  #failing: string | undefined;
  #closeByMs: number | undefined;
  #running: Promise<void> = Promise.resolve();

  private constructor(deps: DrainDeps) {
    const { logger, secretKeys } = deps;
    this.#deps = deps;
    const redis = connectFailingFast(deps.redis, logger);
    const { queuePrefix: prefix, tracing } = deps;
    const queue: DeliveryQueue = openTracedQueue<Delivery>('deliveries', {
      redis,
      prefix,
      telemetry: tracing.telemetry,
    });
    redis.on('ready', () => this.#retry.set());
    this.#contact = new RedisContact({ redis, keys: createKeys(deps.queuePrefix), secretKeys, nowMs });
    this.#gate = new QueueGate({ load: () => loadOf(queue, redis), logger, nowMs });
    this.#positions = new DrainPositions({ journals: deps.journals, logger, nowMs, holdMs: deps.holdMs ?? HOLD_MS });
    this.#redis = redis;
    this.#queue = queue;
  }

  /**
   * Starts, Redis up or down.
   *
   * @throws {ConfigError} where Redis is up and its events are sealed with another key.
   */
  static async start(deps: DrainDeps): Promise<Drain> {
    const drain = new Drain(deps);
    try {
      await drain.#tryFirstContact();
    } catch (error) {
      drain.#redis.disconnect();
      throw error;
    }
    drain.#running = drain.#run();
    return drain;
  }

  /** Records that no Redis has confirmed yet. */
  get waiting(): number {
    return this.#positions.waiting;
  }

  /** How many wait, and since when the oldest of them, read from the journals. */
  backlog(): Promise<BacklogState> {
    return this.#positions.backlog();
  }

  /** Redis answers, and takes what is moved to it. */
  get isRedisReached(): boolean {
    return this.#redis.status === 'ready' && this.#failures === 0;
  }

  /** Why events stay in the journal. */
  get problem(): string | undefined {
    if (!this.isRedisReached) return `events cannot be moved to Redis: ${this.#failing ?? NO_CONNECTION}`;
    return this.#gate.isClosed ? 'Redis is as full as it may get' : undefined;
  }

  /** Ends the batch under way, and for a moment goes on until the journals are empty, if Redis is well. */
  async close(): Promise<void> {
    this.#closeByMs = performance.now() + CLOSE_MS.empty;
    this.#retry.set();
    this.#deps.journals.wake();
    await withTimeLimit(this.#running, CLOSE_MS.batch, 'the last batch').catch(() => undefined);
    await this.#positions.save();
    await withTimeLimit(this.#queue.close(), CLOSE_MS.queue, 'closing the queue').catch(() => undefined);
    this.#redis.disconnect();
  }

  async #tryFirstContact(): Promise<void> {
    await waitUntilReady(this.#redis, FIRST_CONTACT_MS);
    if (this.#redis.status !== 'ready') return;
    await this.#lookAtRedis().catch((error: unknown) => {
      // The first round meets anything else again, and says so.
      if (error instanceof ConfigError) throw error;
    });
  }

  async #run(): Promise<void> {
    for (;;) {
      try {
        const moved = await this.#round();
        this.#succeed();
        if (this.#isOver(moved > 0)) return;
        if (moved === 0) await this.#rest();
      } catch (error) {
        if (this.#isOver(false)) return;
        await this.#backOff(error);
      }
    }
  }

  /** How many records it moved. */
  async #round(): Promise<number> {
    await this.#lookAtRedis();
    const place = await this.#positions.next();
    return place ? this.#send(place) : 0;
  }

  async #lookAtRedis(): Promise<void> {
    const contact = await this.#contact.lookAgainIfDue();
    if (contact) await this.#positions.settle(contact);
  }

  async #send({ position, records }: DrainPlace): Promise<number> {
    const admitted = await this.#gate.admit(records.map((record) => record.text.length));
    const batch = records.slice(0, admitted);
    const { connection } = this.#contact;
    const { tracing } = this.#deps;
    const deliveries = batch.map((record) => this.#parse(record));
    const result = await addDeliveries(this.#queue, deliveries, { timeoutMs: ADD_TIMEOUT_MS, tracing });
    // What was in flight goes again on the next connection, which may lead to another, empty Redis: nothing of it is believed.
    if (connection !== this.#contact.connection) throw new Error('the connection to Redis was lost while adding');
    const last = batch[result.confirmed - 1];
    if (last) position.confirm(last.sequence, performance.now());
    if (result.error !== undefined) throw result.error;
    return result.confirmed;
  }

  #parse({ sequence, text }: JournalRecord): Delivery | undefined {
    try {
      return JSON.parse(text) as Delivery;
    } catch {
      // LevelDB checks sums, so this never was a delivery. It must not hold up all that came after it.
      this.#deps.logger.error(
        { event: 'journal.record_unreadable', sequence },
        'a record of the journal is no delivery',
      );
      return undefined;
    }
  }

  #isOver(isMoving: boolean): boolean {
    return this.#closeByMs !== undefined && (!isMoving || performance.now() >= this.#closeByMs);
  }

  async #rest(): Promise<void> {
    if (this.#gate.isClosed) await this.#retry.wait(GATE_CLOSED_MS);
    else await this.#deps.journals.waitForRecords(IDLE_MS);
  }

  async #backOff(error: unknown): Promise<void> {
    // The journal says itself what is wrong with it.
    if (error instanceof StorageError) {
      await sleep(BACKOFF_MS.first);
      return;
    }
    if (this.#failures === 0) this.#logFailing(error);
    this.#failures += 1;
    await this.#retry.wait(Math.min(BACKOFF_MS.first * 2 ** Math.min(this.#failures, 10), BACKOFF_MS.max));
  }

  #logFailing(error: unknown): void {
    const { logger } = this.#deps;
    // The key was changed while this process ran. What it accepts is kept, and moved by the next one, which has both keys.
    if (error instanceof ConfigError) {
      this.#failing = error.problems.join('; ');
      logger.error({ event: 'drain.failing', reason: this.#failing }, 'events wait in the journal');
      return;
    }
    // What ioredis says of a closed connection is of no use to a person.
    const reason = this.#redis.status === 'ready' ? errorMessage(error) : NO_CONNECTION;
    this.#failing = reason;
    logger.warn({ event: 'drain.failing', reason }, 'events cannot be moved to Redis; they wait in the journal');
  }

  #succeed(): void {
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.#failing = undefined;
    this.#deps.logger.info({ event: 'drain.healed', waiting: this.waiting }, 'events are moved to Redis again');
  }
}

/** Not the time of day, which may be set back. */
function nowMs(): number {
  return performance.now();
}

async function waitUntilReady(redis: Redis, timeoutMs: number): Promise<void> {
  const settled = new Signal();
  const settle = (): void => settled.set();
  if (redis.status === 'ready') return;
  redis.once('ready', settle);
  redis.once('error', settle);
  await settled.wait(timeoutMs);
  redis.off('ready', settle);
  redis.off('error', settle);
}
