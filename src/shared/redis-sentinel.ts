import type { Redis as IORedis } from 'ioredis';
import { RedisClient, type ServerOptions } from './redis-client.js';
import type { RedisNode } from './redis-node.js';

/** The Sentinels that are listened to, and how. */
export interface SentinelWatchDeps {
  readonly sentinels: readonly RedisNode[];
  readonly name: string;
  readonly options: ServerOptions;
}

/**
 * A client of the master that Sentinels name. Where that master dies, its connections close, and the Sentinels are asked anew. A
 * master that is frozen, or cut off with us on its side, closes nothing: so the Sentinels are listened to as well.
 */
export class SentinelClient extends RedisClient {
  /** BullMQ makes its connection for blocking reads by it. */
  override readonly duplicate: IORedis['duplicate'];
  readonly #watch: SentinelWatch;

  constructor(options: ServerOptions, watch: SentinelWatch) {
    super(options);
    this.#watch = watch;
    this.duplicate = ((changes: ServerOptions = {}) =>
      new SentinelClient({ ...options, ...changes }, watch)) as IORedis['duplicate'];
    watch.add(this);
    this.on('connecting', () => watch.add(this));
    this.on('end', () => watch.remove(this));
  }

  /** Not every way to the end is told by `end`: one that waits for its next attempt is silent. */
  override disconnect(reconnect = false): void {
    if (!reconnect) this.#watch.remove(this);
    super.disconnect(reconnect);
  }
}

/**
 * Listens to the Sentinels for as long as it has a client, and has all of them connect anew when another server becomes the master.
 * Only those that are connected: one that is just asking a Sentinel would end for good (ioredis takes that for the wish of its
 * user). The client's own way to listen (`failoverDetector`) writes to standard error when a Sentinel is down.
 */
export class SentinelWatch {
  readonly #deps: SentinelWatchDeps;
  readonly #clients = new Set<SentinelClient>();
  #ears: readonly RedisClient[] = [];

  constructor(deps: SentinelWatchDeps) {
    this.#deps = deps;
  }

  add(client: SentinelClient): void {
    this.#clients.add(client);
    if (this.#ears.length === 0) this.#ears = this.#deps.sentinels.map((sentinel) => this.#listenTo(sentinel));
  }

  remove(client: SentinelClient): void {
    this.#clients.delete(client);
    if (this.#clients.size > 0) return;
    for (const ear of this.#ears) ear.disconnect();
    this.#ears = [];
  }

  #listenTo({ host, port }: RedisNode): RedisClient {
    const ear = new RedisClient({ ...this.#deps.options, host, port });
    // A Sentinel that is down is one of several.
    ear.on('error', () => undefined);
    ear.on('message', (_channel, message: string) => {
      if (message.split(' ')[0] === this.#deps.name) this.#reconnectAll();
    });
    ear.subscribe(SWITCH_CHANNEL).catch(() => undefined);
    return ear;
  }

  #reconnectAll(): void {
    for (const client of this.#clients) if (client.status === 'ready') client.disconnect(true);
  }
}

/** https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/ (Pub/Sub messages). */
const SWITCH_CHANNEL = '+switch-master';
