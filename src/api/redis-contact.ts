import { randomUUID } from 'node:crypto';
import type { Keys } from '../shared/keys.js';
import { readRedisInfo } from '../shared/redis-info.js';
import { onRedisLost, type Redis } from '../shared/redis.js';
import { registerSecretKey } from '../shared/secret-key-registry.js';
import type { SecretKeys } from '../shared/secret-keys.js';
import { withTimeLimit } from '../shared/time-limit.js';

export interface RedisContactDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly secretKeys: SecretKeys;
  readonly nowMs: () => number;
}

/** What a look at Redis told. */
export interface Contact {
  /** The same for as long as this is the same server with the same data. */
  readonly identity: string;
  /** When the look began. */
  readonly checkedAtMs: number;
  /** Counts the connections; a command that spans two of them was perhaps answered by another server. */
  readonly connection: number;
}

const CHECK_EVERY_MS = 3000;
const CHECK_TIMEOUT_MS = 4000;

/**
 * Tells whether the Redis at the other end is still the one that it was: by the id that a server draws at its start, which also
 * tells a failover, and by a mark among the data, which tells that they were flushed or replaced under a running server.
 * At each new connection it also registers the key that seals.
 */
export class RedisContact {
  readonly #deps: RedisContactDeps;
  #connection = 0;
  #last: Contact | undefined;

  constructor(deps: RedisContactDeps) {
    this.#deps = deps;
    onRedisLost(deps.redis, () => {
      this.#connection += 1;
    });
  }

  /** Rises with each connection that is lost. */
  get connection(): number {
    return this.#connection;
  }

  /** Undefined where it was looked at a moment ago. */
  async lookAgainIfDue(): Promise<Contact | undefined> {
    const last = this.#last;
    const isNew = last?.connection !== this.#connection;
    if (!isNew && this.#deps.nowMs() - last.checkedAtMs < CHECK_EVERY_MS) return undefined;
    const connection = this.#connection;
    const checkedAtMs = this.#deps.nowMs();
    const identity = await withTimeLimit(this.#look(isNew), CHECK_TIMEOUT_MS, 'the look at Redis');
    if (connection !== this.#connection) throw new Error('the connection to Redis was lost during the look at it');
    this.#last = { identity, checkedAtMs, connection };
    return this.#last;
  }

  /** @throws {ConfigError} where the events in Redis are sealed with another key. */
  async #look(isNew: boolean): Promise<string> {
    const { redis, keys, secretKeys } = this.#deps;
    if (isNew) await registerSecretKey(redis, keys, secretKeys);
    const [info, known] = await Promise.all([readRedisInfo(redis), redis.get(keys.dataMark)]);
    // Written only where there is none: a full Redis takes no write.
    const mark = known ?? (await this.#writeMark());
    return `${info.runId}.${mark ?? ''}`;
  }

  /** Of several that write it at once one wins, and all read that one. */
  async #writeMark(): Promise<string | null> {
    const { redis, keys } = this.#deps;
    await redis.set(keys.dataMark, randomUUID(), 'NX');
    return redis.get(keys.dataMark);
  }
}
