import type { Keys } from './keys.js';
import { redisScript } from './redis-script.js';
import type { Redis } from './redis.js';

/**
 * Which connectors of a portal are on, per open line, as its events tell. The newest `ts` wins whatever the order of arrival, and
 * of two with the same `ts` the one that switches off.
 *
 * One hash per portal. Its fields, each with the value `ts on` or `ts off`: `connector|line`; `|line` for a line that was deleted
 * with all its connectors; `|` for the portal, from which the app was removed. A connector counts as off when the newest of the
 * three says so. One that no event has spoken of counts as on: it was switched on before the app listened.
 */
export interface ConnectorStates {
  note(memberId: string, change: ConnectorChange): Promise<void>;
  isOn(memberId: string, connector: string, line: number): Promise<boolean>;
}

/** `connector` and `line` undefined: the whole portal; `connector` undefined: all connectors of the line. */
export interface ConnectorChange {
  readonly connector?: string;
  readonly line?: number;
  readonly state: 'on' | 'off';
  /** Whole seconds since 1970, of the event. */
  readonly ts: number;
}

const NOTE = redisScript(`
local key, field, ts, state = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local stored = redis.call('HGET', key, field)
if stored then
  local storedTs = tonumber(string.match(stored, '^%d+'))
  if storedTs > ts or (storedTs == ts and state == 'on') then return 0 end
end
redis.call('HSET', key, field, ARGV[2] .. ' ' .. state)
return 1
`);

export function createConnectorStates(deps: { redis: Redis; keys: Keys }): ConnectorStates {
  const { redis, keys } = deps;
  return {
    async note(memberId, change) {
      await NOTE.run(
        redis,
        [keys.connectors(memberId)],
        [fieldOf(change.connector, change.line), change.ts, change.state],
      );
    },
    async isOn(memberId, connector, line) {
      const fields = [fieldOf(connector, line), fieldOf(undefined, line), fieldOf(undefined, undefined)];
      const values = await redis.hmget(keys.connectors(memberId), ...fields);
      return newestIsOn(values);
    },
  };
}

/** Connector ids are lower case at the portal (`imconnector.register`), yet compared without regard to case. */
function fieldOf(connector: string | undefined, line: number | undefined): string {
  return `${connector?.toLowerCase() ?? ''}|${line ?? ''}`;
}

function newestIsOn(values: readonly (string | null)[]): boolean {
  let newestTs = -1;
  let isOn = true;
  for (const value of values) {
    if (value === null) continue;
    const [ts, state] = value.split(' ');
    if (Number(ts) < newestTs || (Number(ts) === newestTs && state === 'on')) continue;
    newestTs = Number(ts);
    isOn = state === 'on';
  }
  return isOn;
}
