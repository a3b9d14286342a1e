import type { JsonValue } from './bitrix24/event.js';
import { jsonField } from './bitrix24/json-field.js';
import { claimableEventIds } from './claimable-event-ids.js';
import type { Delivery } from './delivery.js';
import { erased } from './erased-delivery.js';
import { codeOfReason } from './errors.js';
import type { Keys } from './keys.js';
import type { DeliveryQueue, EffectJobData, EffectQueue, RejectedJobData, RejectedQueue } from './queues.js';
import { redisScript } from './redis-script.js';
import type { Redis } from './redis.js';

/**
 * The jobs of one portal in all queues: found page by page, for there is no list of them, and to read a whole state at once would stop
 * Redis, and this process, for long.
 */
export interface PortalJobs {
  count(memberId: string, signal: AbortSignal): Promise<PortalJobCounts>;
  /** Those that have ended, with what is remembered of their events. */
  removeEnded(memberId: string, signal: AbortSignal): Promise<void>;
  /**
   * Removes what can be removed. What waits in line or is under way stays there as an empty job, which ends as cancelled: to take one
   * out of a long line costs Redis a walk along it.
   *
   * Only what was received before `beforeMs`: the portal may install the app anew meanwhile.
   */
  erase(memberId: string, options: { beforeMs: number; signal: AbortSignal }): Promise<ErasedJobs>;
  /** Whether a worker still has it; one that died has not for longer than its lock. */
  isUnderWay(job: JobUnderWay): Promise<boolean>;
  /**
   * What the end of a job has written that was emptied under way: the reason of a failure, the results of steps. Nobody finds it by
   * its portal any more.
   */
  eraseEnd(job: JobUnderWay): Promise<void>;
}

export interface ErasedJobs {
  /** Emptied, but their worker still has their data. */
  readonly underWay: readonly JobUnderWay[];
  /** Jobs that were left alone, as received later. */
  readonly newer: number;
}

export type PortalJobCounts = Readonly<Record<JobState, number>>;

export interface JobUnderWay extends Found {
  /** Keys of what was remembered of its event: those of steps are known no more once the claim on the event is gone. */
  readonly remembered: readonly string[];
}

export interface PortalJobsDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly deliveryQueue: DeliveryQueue;
  readonly effectQueue: EffectQueue;
  readonly rejectedQueue: RejectedQueue;
}

type AnyQueue = DeliveryQueue | EffectQueue | RejectedQueue;
type JobData = Delivery | EffectJobData | RejectedJobData;
type JobState = 'delayed' | 'waiting' | 'active' | 'failed' | 'completed';

interface Found {
  readonly queue: AnyQueue;
  readonly jobId: string;
  readonly data: JobData;
}

const PAGE = 100;

/** As jobs go, so that one that goes on meanwhile is met in the next state; with the names of BullMQ's keys. */
const STATES: Readonly<Record<JobState, readonly string[]>> = {
  delayed: ['delayed'],
  waiting: ['wait', 'paused', 'prioritized'],
  active: ['active'],
  failed: ['failed'],
  completed: ['completed'],
};
const LISTS: readonly string[] = ['wait', 'paused', 'active'];

/**
 * Says whether a worker has the job: one that takes it later finds it empty.
 *
 * Begins with a deletion: a full Redis refuses a script whose first command needs memory, and carries on with one that has begun.
 */
const EMPTY = redisScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[1], 'failedReason', 'stacktrace')
redis.call('HSET', KEYS[1], 'data', ARGV[1])
return redis.call('EXISTS', KEYS[2])
`);

/** The effects that claims on events name. */
const CLAIMED_EFFECTS = redisScript(`
local answer = {}
for i, key in ipairs(KEYS) do
  answer[i] = {}
  if redis.call('TYPE', key).ok == 'hash' then
    for _, field in ipairs(redis.call('HKEYS', key)) do
      if string.sub(field, 1, 7) == 'effect:' then table.insert(answer[i], string.sub(field, 8)) end
    end
  end
end
return answer
`);

export function createPortalJobs(deps: PortalJobsDeps): PortalJobs {
  const queues = [deps.deliveryQueue, deps.effectQueue, deps.rejectedQueue];
  return {
    async count(memberId, signal) {
      const counts = { delayed: 0, waiting: 0, active: 0, failed: 0, completed: 0 };
      for (const state of statesOf(counts))
        for await (const _job of found(deps.redis, queues, { state, memberId, signal })) counts[state] += 1;
      return counts;
    },
    async removeEnded(memberId, signal) {
      for (const state of ['failed', 'completed'] as const)
        for await (const job of found(deps.redis, queues, { state, memberId, signal }))
          await clear(deps, job, { isInLine: false });
    },
    async erase(memberId, { beforeMs, signal }) {
      const underWay: JobUnderWay[] = [];
      let newer = 0;
      for (const state of statesOf(STATES)) {
        const isInLine = state === 'waiting' || state === 'active';
        for await (const job of found(deps.redis, queues, { state, memberId, signal })) {
          const isNewer = deliveryIn(job.data).receivedAtMs >= beforeMs;
          if (isNewer) newer += 1;
          else underWay.push(...(await clear(deps, job, { isInLine })));
        }
      }
      // What was told of jobs lately, reasons of failures among it; nothing of ours reads it.
      for (const queue of queues) await deps.redis.xtrim(queue.toKey('events'), 'MAXLEN', 0);
      return { underWay, newer };
    },
    async eraseEnd(job) {
      await deps.redis.del(...job.remembered);
      await clear(deps, job, { isInLine: !(await isOutOfLine(deps.redis, job)) });
    },
    async isUnderWay({ queue, jobId }) {
      return (await deps.redis.exists(lockOf(queue, jobId))) === 1;
    },
  };
}

interface Wanted {
  readonly state: JobState;
  readonly memberId: string;
  readonly signal: AbortSignal;
}

async function* found(
  redis: Redis,
  queues: readonly AnyQueue[],
  { state, memberId, signal }: Wanted,
): AsyncGenerator<Found> {
  const places = queues.flatMap((queue) => STATES[state].map((name) => ({ queue, name })));
  for (const { queue, name } of places) {
    for await (const jobIds of LISTS.includes(name) ? listed(redis, queue, name) : scanned(redis, queue, name)) {
      signal.throwIfAborted();
      const jobs = await readJobs(redis, queue, jobIds);
      yield* jobs.filter(({ data }) => deliveryIn(data).auth.memberId === memberId);
    }
  }
}

/** By a cursor: pages that are counted from the start would skip jobs while others are removed from the same set. */
async function* scanned(redis: Redis, queue: AnyQueue, name: string): AsyncGenerator<readonly string[]> {
  let cursor = '0';
  do {
    const [next, jobIds] = await redis.zscan(queue.toKey(name), cursor, 'COUNT', PAGE);
    cursor = next;
    // A scan gives each member and its score.
    yield jobIds.filter((_, place) => place % 2 === 0);
  } while (cursor !== '0');
}

/** From the end at which jobs are put in: what comes meanwhile moves the rest further on, so none is skipped. */
async function* listed(redis: Redis, queue: AnyQueue, name: string): AsyncGenerator<readonly string[]> {
  for (let first = 0; ; first += PAGE) {
    const jobIds = await redis.lrange(queue.toKey(name), first, first + PAGE - 1);
    if (jobIds.length === 0) return;
    yield jobIds;
  }
}

async function readJobs(redis: Redis, queue: AnyQueue, jobIds: readonly string[]): Promise<readonly Found[]> {
  const texts = await Promise.all(jobIds.map((jobId) => redis.hget(queue.toKey(jobId), 'data')));
  return jobIds.flatMap((jobId, place) => {
    const data = parseData(texts[place]);
    return data === undefined ? [] : [{ queue, jobId, data }];
  });
}

/** undefined for a job that is gone, and for one that is none of ours. */
function parseData(text: string | null | undefined): JobData | undefined {
  const data = JSON.parse(text ?? 'null') as JsonValue;
  const delivery = jsonField(data, 'delivery') ?? data;
  return jsonField(delivery, 'auth') === undefined ? undefined : (data as unknown as JobData);
}

/**
 * Answers the job where a worker has it. What is remembered of its event goes first: without the claim on it a run that is under way
 * hands no effect over any more, and once the job is empty nothing leads there.
 */
async function clear(
  { redis, keys }: Pick<PortalJobsDeps, 'redis' | 'keys'>,
  { queue, jobId, data }: Found,
  { isInLine }: { readonly isInLine: boolean },
): Promise<readonly JobUnderWay[]> {
  const remembered = await rememberedOf(redis, keys, data);
  await redis.del(...remembered);
  // A worker may have taken it in between: then it cannot be removed.
  if (!isInLine && (await queue.remove(jobId)) !== 0) return [];
  const rest = emptied(data);
  const touched = [queue.toKey(jobId), lockOf(queue, jobId)];
  const isLocked = (await EMPTY.run(redis, touched, [JSON.stringify(rest)])) === 1;
  return isLocked ? [{ queue, jobId, data: rest, remembered }] : [];
}

async function isOutOfLine(redis: Redis, { queue, jobId }: Found): Promise<boolean> {
  const names = [...STATES.delayed, ...STATES.failed, ...STATES.completed];
  const scores = await Promise.all(names.map((name) => redis.zscore(queue.toKey(name), jobId)));
  return scores.some((score) => score !== null);
}

/** BullMQ's own. */
function lockOf(queue: AnyQueue, jobId: string): string {
  return `${queue.toKey(jobId)}:lock`;
}

function emptied(data: JobData): JobData {
  if (!('delivery' in data)) return erased(data);
  if (!('effect' in data)) return { reason: codeOfReason(data.reason), delivery: erased(data.delivery) };
  const { givenUp: _reason, ...rest } = data;
  return { ...rest, delivery: erased(data.delivery) };
}

/** The claims on its event and that one's later twins, and the results of steps. */
async function rememberedOf(redis: Redis, keys: Keys, data: JobData): Promise<readonly string[]> {
  const { eventId, id } = deliveryIn(data);
  const eventIds = [...claimableEventIds(eventId, id)];
  const claims = eventIds.map((each) => keys.event(each));
  const effects = readNames(await CLAIMED_EFFECTS.run(redis, claims, []));
  const steps = eventIds.flatMap((each, place) => (effects[place] ?? []).map((effect) => keys.once(each, effect)));
  // The claim may be gone before the effect's own job is.
  const own = 'effect' in data ? [keys.once(data.eventId, data.effect)] : [];
  return [...claims, ...steps, ...own];
}

function readNames(answer: unknown): readonly (readonly string[])[] {
  return Array.isArray(answer) ? answer.map((names) => (Array.isArray(names) ? names.map(String) : [])) : [];
}

function deliveryIn(data: JobData): RejectedJobData['delivery'] {
  return 'delivery' in data ? data.delivery : data;
}

function statesOf(states: Readonly<Record<JobState, unknown>>): readonly JobState[] {
  return Object.keys(states) as JobState[];
}
