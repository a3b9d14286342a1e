import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { errorCode, errorMessage } from '../../shared/caught-error.js';
import { StartError } from '../../shared/start-error.js';

/** What stands behind a port of this machine, as told over the wire. */
export type Probe =
  | { readonly state: 'refused' }
  /** Something took the connection and says nothing: a Redis that is frozen, or any other program. */
  | { readonly state: 'silent' }
  | { readonly state: 'stranger' }
  | { readonly state: 'redis'; readonly pid: number; readonly dir: string; readonly isReady: boolean };

const PROBE_TIMEOUT_MS = 2000;

/** Asks once; never throws. */
export async function probeRedis(port: number): Promise<Probe> {
  const redis = new Redis({
    host: '127.0.0.1',
    port,
    lazyConnect: true,
    connectTimeout: PROBE_TIMEOUT_MS,
    commandTimeout: PROBE_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    // ioredis keeps a timer of this length behind a connection that was refused, which would hold up the end of the process.
    disconnectTimeout: 50,
    enableReadyCheck: false,
    retryStrategy: () => null,
  });
  let firstError: Error | undefined;
  redis.on('error', (error: Error) => (firstError ??= error));
  try {
    await redis.connect();
    return await identify(redis);
  } catch (error) {
    return explain(firstError ?? error);
  } finally {
    redis.disconnect();
  }
}

/** CONFIG and INFO answer while the server still loads its file; PING does not, and that is how readiness shows. */
async function identify(redis: Redis): Promise<Probe> {
  const [settings, info] = await Promise.all([redis.config('GET', 'dir'), redis.info()]);
  const pid = Number(/^process_id:(\d+)/m.exec(info)?.[1]);
  const dir = Array.isArray(settings) ? String(settings[1]) : '';
  if (!Number.isSafeInteger(pid)) return { state: 'stranger' };
  const isLoading = /^(async_)?loading:1/m.test(info);
  const answer = await redis.ping().catch(() => 'not now');
  return { state: 'redis', pid, dir, isReady: answer === 'PONG' && !isLoading };
}

function explain(error: unknown): Probe {
  if (errorCode(error) === 'ECONNREFUSED') return { state: 'refused' };
  const isTimeout = errorCode(error) === 'ETIMEDOUT' || /timed? ?out/i.test(errorMessage(error));
  return { state: isTimeout ? 'silent' : 'stranger' };
}

export interface ReadinessWait {
  readonly port: number;
  readonly signal?: AbortSignal | undefined;
  /** Why it will never be ready, as soon as that is known. */
  readonly failure: () => string | undefined;
}

const READY_WITHIN_MS = 30_000;
/** A large append-only file takes its time: about a minute for a few gigabytes on a slow disk. */
const LOADED_WITHIN_MS = 900_000;

/**
 * Waits until the server takes commands; gives the pid that it says it has.
 *
 * @throws {StartError} when it failed, or is not there in time.
 */
export async function waitUntilReady({ port, signal, failure }: ReadinessWait): Promise<number> {
  const startedAtMs = Date.now();
  for (;;) {
    signal?.throwIfAborted();
    const probe = await probeRedis(port);
    if (probe.state === 'redis' && probe.isReady) return probe.pid;
    const reason = failure();
    if (reason !== undefined) throw new StartError(reason);
    const limitMs = probe.state === 'redis' ? LOADED_WITHIN_MS : READY_WITHIN_MS;
    if (Date.now() - startedAtMs > limitMs) {
      throw new StartError(`no Redis takes commands on 127.0.0.1:${port} after ${limitMs / 1000} s (${probe.state})`);
    }
    await sleep(50);
  }
}
