import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { errorMessage } from '../../shared/caught-error.js';
import type { Keys } from '../../shared/keys.js';
import { readRedisClockMs, readRedisInfo } from '../../shared/redis-info.js';
import type { Redis } from '../../shared/redis.js';
import { fail, ok, warn, type Finding } from './finding.js';
import type { Look } from './look.js';
import { lookAtInfo } from './look-at-redis-info.js';

export interface RedisLooksDeps {
  readonly redis: Redis;
  readonly keys: Pick<Keys, 'doctorProbe'>;
  readonly nowMs: () => number;
}

const ADVICE = 'look at the log of Redis';

/** What can be asked side by side. */
export function redisLooks({ redis, nowMs }: RedisLooksDeps): readonly Look[] {
  return [
    { name: 'server', advice: ADVICE, look: async () => lookAtInfo(await readRedisInfo(redis)) },
    { name: 'fsync', advice: ADVICE, look: () => lookAtFsync(redis) },
    { name: 'min-replicas', advice: ADVICE, look: () => lookAtMinReplicas(redis) },
    { name: 'clock', advice: ADVICE, look: () => lookAtClock(redis, nowMs) },
  ];
}

/** Each on its own: one measures, and after a refused write the connection may be made anew. */
export function redisLooksInTurn({ redis, keys }: RedisLooksDeps): readonly Look[] {
  return [
    { name: 'latency', advice: ADVICE, look: () => lookAtLatency(redis) },
    {
      name: 'writes',
      advice: ADVICE,
      look: () => lookAtWrites(redis, keys.doctorProbe(randomBytes(8).toString('hex'))),
    },
  ];
}

async function lookAtFsync(redis: Redis): Promise<Finding> {
  switch (await readSetting(redis, 'appendfsync')) {
    case 'always':
      return ok('fsync', 'at every write');
    case 'everysec':
      return ok('fsync', 'every second; what a power cut takes of the last one is sent again from the journal');
    case 'no':
      return fail(
        'fsync',
        'left to the operating system',
        'set appendfsync to everysec: a power cut loses half a minute',
      );
    default:
      return ok('fsync', 'not told by this server (CONFIG is not allowed)');
  }
}

/** A master that is cut off from its replicas goes on with what the failover then throws away. */
async function lookAtMinReplicas(redis: Redis): Promise<readonly Finding[]> {
  const { role, replicas } = await readRedisInfo(redis);
  const wanted = await readSetting(redis, 'min-replicas-to-write');
  if (role !== 'master' || replicas === 0 || wanted === undefined) return [];
  if (wanted !== '0') return [ok('min-replicas', `a write needs ${wanted} of them`)];
  const found = 'a master that has lost its replicas goes on to confirm writes, which a failover throws away';
  return [warn('min-replicas', found, 'set min-replicas-to-write to 1')];
}

/** undefined where this server does not tell. */
async function readSetting(redis: Redis, name: string): Promise<string | undefined> {
  const answer = await redis.config('GET', name).catch(() => undefined);
  return Array.isArray(answer) ? answer[1] : undefined;
}

const CLOCK_MS = { warn: 2000, fail: 30_000 } as const;

async function lookAtClock(redis: Redis, nowMs: () => number): Promise<Finding> {
  const beforeMs = nowMs();
  const theirsMs = await readRedisClockMs(redis);
  const apartMs = Math.round(theirsMs - (beforeMs + nowMs()) / 2);
  const found = `${(Math.abs(apartMs) / 1000).toFixed(1)} s ${apartMs < 0 ? 'behind' : 'ahead of'} this machine`;
  const advice = 'set both clocks by NTP: delays and the order of installations go by them';
  if (Math.abs(apartMs) > CLOCK_MS.fail) return fail('clock', found, advice);
  return Math.abs(apartMs) > CLOCK_MS.warn ? warn('clock', found, advice) : ok('clock', found);
}

const LATENCY_ROUNDS = 5;
const LATENCY_MS_MAX = 20;

async function lookAtLatency(redis: Redis): Promise<Finding> {
  const took: number[] = [];
  for (let round = 0; round < LATENCY_ROUNDS; round += 1) {
    const startedMs = performance.now();
    await redis.ping();
    took.push(performance.now() - startedMs);
  }
  const medianMs = took.toSorted((a, b) => a - b)[Math.floor(LATENCY_ROUNDS / 2)] ?? 0;
  const found = `${medianMs.toFixed(1)} ms for a round trip`;
  if (medianMs <= LATENCY_MS_MAX) return ok('latency', found);
  return warn('latency', found, 'bring Redis nearer to the workers: each event takes about ten round trips');
}

const PROBE_SECONDS = 30;
const RECONNECT_MS = 2000;

async function lookAtWrites(redis: Redis, key: string): Promise<Finding> {
  try {
    await redis.set(key, 'doctor', 'EX', PROBE_SECONDS);
    const isKept = (await redis.get(key)) === 'doctor';
    await redis.del(key);
    if (isKept) return ok('writes', 'a key was written, read and deleted');
    return fail(
      'writes',
      'a key that was written is not there',
      'look at the eviction policy, and at what else uses this Redis',
    );
  } catch (error) {
    const refusal = errorMessage(error);
    if (refusal.startsWith('READONLY')) await reconnected(redis);
    return fail('writes', `a write is refused: ${refusal.slice(0, 200)}`, adviceFor(refusal));
  }
}

/** A replica's answer makes the connection look for the master anew, and those who look next need it. */
async function reconnected(redis: Redis): Promise<void> {
  await once(redis, 'ready', { signal: AbortSignal.timeout(RECONNECT_MS) }).catch(() => undefined);
}

const WRITE_ADVICE: readonly (readonly [RegExp, string])[] = [
  [
    /^OOM/,
    'it is full: raise maxmemory, or let the workers work off what waits; events are kept in the journal meanwhile',
  ],
  [/^READONLY/, 'it is a replica: let REDIS_URL name the master, or use REDIS_SENTINELS'],
  [/^MISCONF/, 'it cannot save to its disk: make room there, and look at its log'],
  [/^NOREPLICAS/, 'it has fewer replicas than min-replicas-to-write wants'],
  [/^NOPERM/, 'the user may not write: correct its ACL'],
];

function adviceFor(refusal: string): string {
  const [, advice] = WRITE_ADVICE.find(([pattern]) => pattern.test(refusal)) ?? [];
  return advice ?? ADVICE;
}
