import type { Redis } from './redis.js';
import { withTimeLimit } from './time-limit.js';

/** What a server tells of itself. Of a cluster it is the master of the shard that holds our keys. */
export interface RedisInfo {
  readonly version: string;
  /** Drawn anew at each start of a server. */
  readonly runId: string;
  readonly role: 'master' | 'replica';
  readonly usedBytes: number;
  /** `maxmemory`; 0 where none is set. */
  readonly bytesMax: number;
  readonly evictionPolicy: string;
  readonly isAppendOnly: boolean;
  readonly isLoading: boolean;
  /** Whether the last write to its append-only file and its last snapshot went well. */
  readonly lastSaveOk: boolean;
  /** Those that are connected. */
  readonly replicas: number;
}

const TIMEOUT_MS = 3000;

export async function readRedisInfo(redis: Redis): Promise<RedisInfo> {
  return parseRedisInfo(await withTimeLimit(redis.info(), TIMEOUT_MS, 'the look at Redis'));
}

/** The time of day there. */
export async function readRedisClockMs(redis: Redis): Promise<number> {
  const [seconds, microseconds] = await withTimeLimit(redis.time(), TIMEOUT_MS, 'the look at the clock of Redis');
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
}

/** What is not there counts as empty, zero or well. */
export function parseRedisInfo(text: string): RedisInfo {
  const fields = new Map(text.split(/\r?\n/).map(fieldOf));
  const number = (name: string): number => Number(fields.get(name) ?? 0);
  const isWell = (name: string): boolean => (fields.get(name) ?? 'ok') === 'ok';
  return {
    version: fields.get('redis_version') ?? '',
    runId: fields.get('run_id') ?? '',
    role: fields.get('role') === 'slave' ? 'replica' : 'master',
    usedBytes: number('used_memory'),
    bytesMax: number('maxmemory'),
    evictionPolicy: fields.get('maxmemory_policy') ?? '',
    isAppendOnly: number('aof_enabled') === 1,
    isLoading: number('loading') === 1 || number('async_loading') === 1,
    lastSaveOk: isWell('aof_last_write_status') && isWell('rdb_last_bgsave_status'),
    replicas: number('connected_slaves'),
  };
}

function fieldOf(line: string): readonly [string, string] {
  const end = line.indexOf(':');
  return end === -1 ? [line, ''] : [line.slice(0, end), line.slice(end + 1)];
}
