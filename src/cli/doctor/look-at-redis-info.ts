import type { RedisInfo } from '../../shared/redis-info.js';
import { megabytes } from './megabytes.js';
import { fail, ok, warn, type Finding } from './finding.js';

export function lookAtInfo(info: RedisInfo): readonly Finding[] {
  return [
    lookAtVersion(info),
    lookAtRole(info),
    lookAtEviction(info),
    lookAtAppendOnly(info),
    lookAtMemory(info),
    lookAtSaves(info),
  ];
}

/** The oldest that BullMQ recommends, and the oldest that the tests run on. */
const VERSIONS = { min: 6.2, tested: 7 } as const;

function lookAtVersion({ version }: RedisInfo): Finding {
  const [, number = '0'] = /^(\d+\.\d+)/.exec(version) ?? [];
  // 6.10 would read as less than 6.2; there is none of those.
  if (Number(number) < VERSIONS.min)
    return fail('version', version, 'upgrade it: 6.2 is the oldest that BullMQ supports');
  if (Number(number) < VERSIONS.tested)
    return warn('version', version, 'upgrade it: this is tested with 7.0 and later');
  return ok('version', version);
}

function lookAtRole({ role, replicas, isLoading }: RedisInfo): Finding {
  if (isLoading) return fail('role', 'it loads its file', 'wait: it takes no commands until that is done');
  if (role === 'master') return ok('role', `master, with ${replicas} replica${replicas === 1 ? '' : 's'}`);
  return fail('role', role, 'let REDIS_URL name the master, or use REDIS_SENTINELS');
}

function lookAtEviction({ evictionPolicy }: RedisInfo): Finding {
  if (evictionPolicy === 'noeviction') return ok('eviction-policy', evictionPolicy);
  const found = `${evictionPolicy}: locks, claims and waiting events can vanish without a word`;
  return fail('eviction-policy', found, 'set maxmemory-policy to noeviction');
}

function lookAtAppendOnly({ isAppendOnly }: RedisInfo): Finding {
  if (isAppendOnly) return ok('append-only', 'yes');
  const found = 'no: a restart of Redis loses events whose journal records are gone';
  return fail('append-only', found, 'set appendonly to yes');
}

const SHARE = { warn: 0.7, fail: 0.85 } as const;

function lookAtMemory({ usedBytes, bytesMax }: RedisInfo): Finding {
  if (bytesMax === 0) {
    const found = `${megabytes(usedBytes)} used, and no maxmemory`;
    return warn(
      'memory',
      found,
      'set maxmemory to less than the machine has: else the system kills Redis when it is full',
    );
  }
  const share = usedBytes / bytesMax;
  const found = `${megabytes(usedBytes)} of ${megabytes(bytesMax)} used (${Math.round(share * 100)} %)`;
  const advice = 'raise maxmemory, start more workers, or keep less (KEEP_COMPLETED_SECONDS, KEEP_FAILED_SECONDS)';
  if (share >= SHARE.fail) return fail('memory', found, advice);
  return share >= SHARE.warn ? warn('memory', found, advice) : ok('memory', found);
}

function lookAtSaves({ lastSaveOk }: RedisInfo): Finding {
  if (lastSaveOk) return ok('last-save', 'went well');
  return fail('last-save', 'failed', 'make room on the disk of Redis, and look at its log');
}
