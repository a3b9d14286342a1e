import type { Keys } from '../../shared/keys.js';
import { JobError } from '../../shared/errors.js';
import { redisScript } from '../../shared/redis-script.js';
import type { Redis } from '../../shared/redis.js';
import type { Sealer } from '../../shared/sealer.js';

/**
 * What is known of the steps of a handler's runs for one event: one hash, a field per step, with `begun <run>` or `ended <seal>`.
 *
 *     nothing ─begin─► begun ─end─► ended        only of a step that must not run twice
 *        ▲               │
 *        └────undo───────┘                       the run that began it knows that nothing was done
 *
 *     nothing ─end─► ended                       of any other step: it may run again until its end is noted
 *
 * The first end that is noted stands, whoever comes after it.
 */
export interface OnceStore {
  /**
   * The result of a step that has ended, as text; undefined where it is to be run now.
   *
   * @throws {JobError} ONCE_UNKNOWN for one that another run began and did not end; ONCE_TOO_LARGE beyond {@link STEPS_MAX} steps.
   */
  begin(place: OncePlace, atMostOnce: boolean): Promise<string | undefined>;
  /** Notes the result, and answers the one that stands. */
  end(place: OncePlace, result: string): Promise<string>;
  /** Takes back what this run began. */
  undo(place: OncePlace): Promise<void>;
  /** Once a person knows that the run was given up: what was begun may be begun again, when that person says so. */
  release(eventId: string, effect: string): Promise<void>;
  /** When the effect is done, it never runs again: nothing of its steps is needed any more. */
  forget(eventId: string, effect: string): Promise<void>;
}

export interface OncePlace {
  readonly eventId: string;
  readonly effect: string;
  readonly step: string;
  /** Another one for each run. */
  readonly run: string;
}

export interface OnceStoreDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly sealer: Sealer;
  /** After the last note; at least as long as a run for the event may still come. */
  readonly ttlSeconds: number;
}

const STEPS_MAX = 100;

const BEGIN = redisScript(`
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored then return stored end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then return 'full' end
if ARGV[2] == '' then return false end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return false
`);

const END = redisScript(`
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored and string.sub(stored, 1, 6) == 'ended ' then return stored end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return ARGV[2]
`);

const UNDO = redisScript(`
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
`);

const RELEASE = redisScript(`
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if string.sub(fields[i + 1], 1, 6) == 'begun ' then redis.call('HDEL', KEYS[1], fields[i]) end
end
return 0
`);

export function createOnceStore({ redis, keys, sealer, ttlSeconds }: OnceStoreDeps): OnceStore {
  return {
    async begin(place, atMostOnce) {
      const args = [place.step, atMostOnce ? begunBy(place) : '', ttlSeconds, STEPS_MAX];
      const stored = await BEGIN.run(redis, [keyOf(place)], args);
      if (typeof stored !== 'string') return undefined;
      if (stored === 'full') throw new JobError('ONCE_TOO_LARGE', `more than ${STEPS_MAX} steps`);
      return resultIn(stored, place);
    },
    async end(place, result) {
      const ended = `ended ${sealer.seal(result, contextOf(place))}`;
      return resultIn(String(await END.run(redis, [keyOf(place)], [place.step, ended, ttlSeconds])), place);
    },
    async undo(place) {
      await UNDO.run(redis, [keyOf(place)], [place.step, begunBy(place)]);
    },
    async release(eventId, effect) {
      await RELEASE.run(redis, [keys.once(eventId, effect)], []);
    },
    async forget(eventId, effect) {
      await redis.del(keys.once(eventId, effect));
    },
  };

  function keyOf({ eventId, effect }: OncePlace): string {
    return keys.once(eventId, effect);
  }

  function resultIn(stored: string, place: OncePlace): string {
    if (!stored.startsWith('ended ')) throw new JobError('ONCE_UNKNOWN', `step ${place.step}`);
    const opened = sealer.open(stored.slice('ended '.length), contextOf(place));
    if (opened.status === 'opened') return opened.plain;
    throw new JobError(opened.status === 'broken' ? 'SEAL_BROKEN' : 'SEAL_KEY_UNKNOWN', `step ${place.step}`);
  }
}

function begunBy({ run }: OncePlace): string {
  return `begun ${run}`;
}

function contextOf({ eventId, effect, step }: OncePlace): string {
  return JSON.stringify(['once', eventId, effect, step]);
}
