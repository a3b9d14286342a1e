import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createForgetRenewals } from '../../shared/bitrix24/rest/forget-renewals.js';
import { createRestBudget } from '../../shared/bitrix24/rest/rest-budget.js';
import { createForgetPortal, type ForgetPortalDeps } from '../../shared/forget-portal.js';
import { createPortalJobs, type JobUnderWay, type PortalJobs } from '../../shared/portal-jobs.js';
import type { PortalStore } from '../../shared/portals.js';
import { openQueue } from '../../shared/queues.js';
import { readRedisClockMs } from '../../shared/redis-info.js';
import type { Sealer } from '../../shared/sealer.js';
import { StartError } from '../../shared/start-error.js';
import type { OnRedis } from '../run-on-redis.js';

/**
 * Erases what is kept of a portal, in this order:
 *
 *     note of its removal ──► records and files ──► jobs ──► again, once what was under way has ended
 *
 * The note comes first, because it is what cannot be lost: from then on workers cancel, and empty, whatever they meet that was
 * received before, also what is still in a journal. So a command that is stopped half-way has only to be given again.
 */
export interface Erasure {
  /** Jobs that were still under way when the time for them was over. */
  readonly underWay: number;
  /** What was received from then on is kept: the app may be installed anew. */
  readonly beforeMs: number;
  /** Jobs that were kept as such. */
  readonly newer: number;
}

export interface EraseDeps extends OnRedis {
  readonly portals: Pick<PortalStore, 'remove'>;
  readonly sealer: Sealer;
}

const LOOK_EVERY_MS = 200;
/** Beyond the deadline of an attempt: an end must be noted too. */
const MARGIN_MS = 5000;
/** An ingress stamps what it receives by a clock of its own: one that is ahead by no more than this hides nothing. */
const CLOCK_AHEAD_MS = 30_000;

/** @throws {StartError} where it was installed while this began. */
export async function erasePortal(memberId: string, deps: EraseDeps): Promise<Erasure> {
  const beforeMs = Math.max(Date.now(), await readRedisClockMs(deps.redis)) + CLOCK_AHEAD_MS;
  const removal = { receivedAtMs: beforeMs, deliveryId: randomUUID(), isClean: true };
  if (!(await deps.portals.remove(memberId, removal)))
    throw new StartError(`portal ${memberId} was installed just now, or by a clock that is ahead: nothing was erased`);
  const forgetDeps = forgetDepsOf(deps);
  const forget = createForgetPortal(forgetDeps);
  const jobs = createPortalJobs(forgetDeps);
  const endsAtMs = Date.now() + deps.config.effectTimeoutMs + MARGIN_MS;
  for (;;) {
    await forget(memberId, { isClean: false, signal: deps.signal });
    await deps.redis.del(...keysOf(memberId, deps));
    const { underWay, newer } = await jobs.erase(memberId, { beforeMs, signal: deps.signal });
    const left = await eraseEnds(underWay, jobs, { endsAtMs, signal: deps.signal });
    if (underWay.length === 0 || left > 0) return { underWay: left, beforeMs, newer };
  }
}

export function portalJobsOf(parts: OnRedis): PortalJobs {
  return createPortalJobs({ ...parts, ...queuesOf(parts) });
}

function forgetDepsOf(deps: EraseDeps): ForgetPortalDeps {
  const { redis, keys, config, sealer } = deps;
  // Only the files of this machine: each worker removes its own, when it hears of the removal, or starts.
  const forgetRenewals = createForgetRenewals({ redis, keys, sealer, dataDir: config.dataDir });
  const rest = { budget: createRestBudget({ redis, keys }), renewals: { forget: forgetRenewals } };
  return { redis, keys, ...queuesOf(deps), rest };
}

function queuesOf({
  redis,
  config,
}: OnRedis): Pick<ForgetPortalDeps, 'deliveryQueue' | 'effectQueue' | 'rejectedQueue'> {
  const prefix = config.queuePrefix;
  return {
    deliveryQueue: openQueue('deliveries', redis, prefix),
    effectQueue: openQueue('effects', redis, prefix),
    rejectedQueue: openQueue('rejected', redis, prefix),
  };
}

function keysOf(memberId: string, { keys }: Pick<OnRedis, 'keys'>): readonly string[] {
  return [keys.connectors(memberId), keys.waitingFor(memberId), ...keys.everyParkedOf(memberId)];
}

/** Erases each once more when it has ended. Answers how many have not in time. */
async function eraseEnds(
  underWay: readonly JobUnderWay[],
  jobs: Pick<PortalJobs, 'isUnderWay' | 'eraseEnd'>,
  { endsAtMs, signal }: { readonly endsAtMs: number; readonly signal: AbortSignal },
): Promise<number> {
  let left = underWay;
  for (;;) {
    const states = await Promise.all(left.map((job) => jobs.isUnderWay(job)));
    for (const job of left.filter((_, place) => states[place] === false)) await jobs.eraseEnd(job);
    left = left.filter((_, place) => states[place] === true);
    if (left.length === 0 || Date.now() > endsAtMs) return left.length;
    await sleep(LOOK_EVERY_MS, undefined, { signal });
  }
}
