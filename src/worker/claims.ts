import type { Keys } from '../shared/keys.js';
import { redisScript } from '../shared/redis-script.js';
import type { Redis } from '../shared/redis.js';

/**
 * The memory of deduplication, and of what has been done about an event: one key per event.
 *
 * While the event is unfinished the key is a hash: `owner` (the delivery that claimed it), `fence` (counts the runs of that
 * delivery), `began` (when the first effect began, Redis's clock in ms), `runner` (the process that runs it; gone after a clean end),
 * `crashes` (how often another process found the mark of a runner), and a field for each effect:
 *
 *     none ──claim──► running ──settle──► done
 *                        └────hand over──► handed {…} ──settle──► done
 *                                             └──────give up───► given-up        (may be settled later: a person retried it)
 *
 * When every effect is done the key shrinks to the string `owner|began` and lives for the window of deduplication. A claim
 * raises the fence, so a run that was overtaken (its worker froze, its lock went to another) can hand nothing over any more. That
 * an effect was done is a fact and is noted whoever says so.
 *
 * A delivery claims only after its token was verified: a forgery never gets here.
 */
export interface Claims {
  claim(request: ClaimRequest): Promise<Claim>;
  /**
   * Notes that an effect is done, if there is one at all; shrinks the memory of the event when nothing is left to do, and says
   * whether that is so since now.
   */
  settle(eventId: string, effect?: string): Promise<boolean>;
  /** Notes that an effect goes on in a job of its own, with what that job needs; false where another run has taken over. */
  handOver(eventId: string, fence: number, handed: { effect: string; note: string }): Promise<boolean>;
  /** An effect's own job begins a run. */
  beginEffect(eventId: string, effect: string): Promise<EffectStart>;
  /** An effect's own job ended its run without success, cleanly. `given-up` is kept as long as the failed job. */
  endEffect(eventId: string, effect: string, end: 'waits' | 'given-up'): Promise<void>;
  /** The run ended cleanly without being finished: it does not count as a crash. */
  release(eventId: string): Promise<void>;
}

export interface ClaimRequest {
  readonly eventId: string;
  readonly deliveryId: string;
  readonly receivedAtMs: number;
  readonly effects: readonly string[];
  /** The event only points at an entity: a later twin tells of a later change, and runs again. */
  readonly pointsOnly: boolean;
}

export type Claim =
  | { readonly kind: 'claimed'; readonly fence: number; readonly states: ReadonlyMap<string, EffectState> }
  /** This delivery itself finished the event before; its job was not marked as done. */
  | { readonly kind: 'finished' }
  | { readonly kind: 'duplicate'; readonly of: string }
  /** Of an event that only points, and whose twin's effects began before it came. */
  | { readonly kind: 'later-twin' }
  /** Its runs ended with their worker several times. */
  | { readonly kind: 'crashing' };

export type EffectState =
  | { readonly kind: 'run' }
  | { readonly kind: 'done' }
  | { readonly kind: 'handed'; readonly note: string }
  | { readonly kind: 'given-up' };

export type EffectStart = 'run' | 'done' | 'crashing';

export interface ClaimsDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  /** Of this process alone, and new at each start. */
  readonly runner: string;
  readonly windowSeconds: number;
  /** How long an unfinished event is remembered at most; longer than any effect of it can still run or be kept as failed. */
  readonly unfinishedSeconds: number;
}

/** After so many runs that ended with their worker a delivery, or an effect, is set aside. */
export const CRASHES_MAX = 5;

const CLAIM = redisScript(`
local key, owner, receivedAt, pointsOnly = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local ttl, crashesMax, runner = ARGV[4], tonumber(ARGV[5]), ARGV[6]
local type = redis.call('TYPE', key).ok
local heldBy, began
if type == 'string' then
  local value = redis.call('GET', key)
  heldBy, began = string.match(value, '^(.-)|(%d+)$')
  if heldBy == owner then return {'finished'} end
elseif type == 'hash' then
  local held = redis.call('HMGET', key, 'owner', 'began')
  heldBy, began = held[1], held[2]
end
if heldBy and heldBy ~= owner then
  if pointsOnly and receivedAt > tonumber(began) then return {'later-twin'} end
  return {'duplicate', heldBy}
end
if not heldBy then
  local now = redis.call('TIME')
  redis.call('HSET', key, 'owner', owner, 'began', now[1] * 1000 + math.floor(now[2] / 1000))
end
redis.call('EXPIRE', key, ttl)
local previous = redis.call('HGET', key, 'runner')
if previous and previous ~= runner and redis.call('HINCRBY', key, 'crashes', 1) >= crashesMax then
  redis.call('HDEL', key, 'runner', 'crashes')
  return {'crashing'}
end
redis.call('HSET', key, 'runner', runner)
local answer = {'claimed', redis.call('HINCRBY', key, 'fence', 1)}
for i = 7, #ARGV do
  local field = 'effect:' .. ARGV[i]
  local state = redis.call('HGET', key, field)
  if not state then
    redis.call('HSET', key, field, 'running')
    state = 'running'
  end
  answer[#answer + 1] = state
end
return answer
`);

/**
 * Where nothing is left to do, the hash becomes the short string.
 *
 * A full Redis refuses a script's first command that needs memory, and carries on with a script that has written already. What was
 * done must be noted all the same, else it would be done again: so this script, and the next, begins with a deletion.
 */
const SETTLE = redisScript(`
local key, effect, window = KEYS[1], 'effect:' .. ARGV[1], ARGV[2]
if redis.call('TYPE', key).ok ~= 'hash' then return 0 end
redis.call('HDEL', key, 'crashes:' .. ARGV[1], 'runner:' .. ARGV[1])
if ARGV[1] ~= '' then redis.call('HSET', key, effect, 'done') end
local all = redis.call('HGETALL', key)
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 7) == 'effect:' and all[i + 1] ~= 'done' then return 0 end
end
local held = redis.call('HMGET', key, 'owner', 'began')
redis.call('SET', key, held[1] .. '|' .. held[2], 'EX', window)
return 1
`);

const HAND_OVER = redisScript(`
local key, effect = KEYS[1], 'effect:' .. ARGV[1]
if redis.call('HGET', key, 'fence') ~= ARGV[2] then return 0 end
if redis.call('HGET', key, effect) ~= 'running' then return 0 end
redis.call('HDEL', key, 'crashes')
redis.call('HSET', key, effect, 'handed ' .. ARGV[3])
return 1
`);

/** The key may be gone (its Redis lost it, or it is older than all): then nothing is known, and the effect runs. */
const BEGIN_EFFECT = redisScript(`
local key, effect, crashesMax, runner = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local type = redis.call('TYPE', key).ok
if type == 'string' then return 'done' end
if type ~= 'hash' then return 'run' end
if redis.call('HGET', key, 'effect:' .. effect) == 'done' then return 'done' end
local previous = redis.call('HGET', key, 'runner:' .. effect)
if previous and previous ~= runner and redis.call('HINCRBY', key, 'crashes:' .. effect, 1) >= crashesMax then
  redis.call('HDEL', key, 'crashes:' .. effect, 'runner:' .. effect)
  return 'crashing'
end
redis.call('HSET', key, 'runner:' .. effect, runner)
return 'run'
`);

const END_EFFECT = redisScript(`
local key, effect, givenUp, ttl = KEYS[1], ARGV[1], ARGV[2] == '1', ARGV[3]
if redis.call('TYPE', key).ok ~= 'hash' then return 0 end
redis.call('HDEL', key, 'crashes:' .. effect, 'runner:' .. effect)
if givenUp then redis.call('HSET', key, 'effect:' .. effect, 'given-up') end
redis.call('EXPIRE', key, ttl)
return 1
`);

const RELEASE = redisScript(`
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return 0 end
return redis.call('HDEL', KEYS[1], 'crashes', 'runner')
`);

export function createClaims(deps: ClaimsDeps): Claims {
  const { redis, keys } = deps;
  return {
    async claim(request) {
      const { deliveryId, receivedAtMs, pointsOnly, effects } = request;
      const args = [
        deliveryId,
        receivedAtMs,
        pointsOnly ? 1 : 0,
        deps.unfinishedSeconds,
        CRASHES_MAX,
        deps.runner,
        ...effects,
      ];
      return readClaim(await CLAIM.run(redis, [keys.event(request.eventId)], args), effects);
    },
    async settle(eventId, effect) {
      return (await SETTLE.run(redis, [keys.event(eventId)], [effect ?? '', deps.windowSeconds])) === 1;
    },
    async handOver(eventId, fence, handed) {
      return (await HAND_OVER.run(redis, [keys.event(eventId)], [handed.effect, fence, handed.note])) === 1;
    },
    async beginEffect(eventId, effect) {
      const start = await BEGIN_EFFECT.run(redis, [keys.event(eventId)], [effect, CRASHES_MAX, deps.runner]);
      return start === 'done' || start === 'crashing' ? start : 'run';
    },
    async endEffect(eventId, effect, end) {
      await END_EFFECT.run(redis, [keys.event(eventId)], [effect, end === 'given-up' ? 1 : 0, deps.unfinishedSeconds]);
    },
    async release(eventId) {
      await RELEASE.run(redis, [keys.event(eventId)], []);
    },
  };
}

function readClaim(answer: unknown, effects: readonly string[]): Claim {
  const [kind, second, ...states] = Array.isArray(answer) ? answer.map(String) : [];
  switch (kind) {
    case 'claimed':
      return {
        kind,
        fence: Number(second),
        states: new Map(effects.map((effect, i) => [effect, readState(states[i] ?? '')])),
      };
    case 'duplicate':
      return { kind, of: second ?? '' };
    case 'finished':
    case 'later-twin':
    case 'crashing':
      return { kind };
    default:
      throw new Error('the claim script answered something that is not a claim');
  }
}

function readState(state: string): EffectState {
  if (state === 'done' || state === 'given-up') return { kind: state };
  if (state.startsWith('handed ')) return { kind: 'handed', note: state.slice('handed '.length) };
  return { kind: 'run' };
}
