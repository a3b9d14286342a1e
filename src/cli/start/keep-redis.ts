import { setTimeout as sleep } from 'node:timers/promises';
import { provideRedis, type RedisProvision } from '../redis/provide-redis.js';
import type { RedisServer } from '../redis/redis-server.js';
import { errorMessage } from '../../shared/caught-error.js';
import { whenAborted } from './stop-signals.js';

export interface KeptRedis {
  readonly url: string;
  readonly source: string;
  stop(options?: { readonly timeoutMs?: number }): Promise<void>;
}

const RESTART_DELAY_MS = 500;
const RESTART_DELAY_MS_MAX = 30_000;

/**
 * A Redis that comes back when it ends by itself, at the same address, where the other processes look for it.
 *
 * @throws {StartError} when there is none to be had at the start.
 */
export async function keepRedis(provision: RedisProvision): Promise<KeptRedis> {
  const stopping = new AbortController();
  let server = await provideRedis(provision);
  const { url, source, port } = server;
  const again: RedisProvision = { ...provision, port, signal: stopping.signal };
  const watch = async (): Promise<void> => {
    for (;;) {
      const reason = await Promise.race([server.ended, whenAborted(stopping.signal)]);
      if (stopping.signal.aborted) return;
      provision.say(`Redis ${String(reason)} by itself; starting it again`);
      const next = await bringBack(again, stopping.signal);
      if (next) server = next;
    }
  };
  const watching = watch();
  const stop: KeptRedis['stop'] = async (options) => {
    stopping.abort();
    await watching;
    await server.stop(options);
  };
  return { url, source, stop };
}

/** Tries until it is there; undefined when told to stop first. */
async function bringBack(provision: RedisProvision, signal: AbortSignal): Promise<RedisServer | undefined> {
  for (let delayMs = RESTART_DELAY_MS; !signal.aborted; delayMs = Math.min(delayMs * 2, RESTART_DELAY_MS_MAX)) {
    await sleep(delayMs, undefined, { signal }).catch(() => undefined);
    try {
      return await provideRedis(provision);
    } catch (error) {
      if (!signal.aborted) provision.say(`Redis is not back: ${errorMessage(error)}`);
    }
  }
  return undefined;
}
