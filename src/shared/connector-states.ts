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
  /** All that its events have told, in no particular order. */
  linesOf(memberId: string): Promise<readonly ConnectorLine[]>;
}

/** One field of the hash, as it counts beside the two others that may overrule it. */
export interface ConnectorLine {
  /** null: all connectors of the line, or of the portal. */
  readonly connector: string | null;
  readonly line: number | null;
  readonly state: 'on' | 'off';
  /** The `ts`, in whole seconds, of the event that said so. */
  readonly sinceTs: number;
}

/** `connector` and `line` undefined: the whole portal; `connector` undefined: all connectors of the line. */
export interface ConnectorChange {
  readonly connector?: string;
  readonly line?: number;
  readonly state: 'on' | 'off';
  /** Whole seconds since 1970, of the event. */
  readonly ts: number;
}

const PAGE = 500;

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
      return newest(values)?.state !== 'off';
    },
    async linesOf(memberId) {
      const stored = new Map<string, string>();
      let cursor = '0';
      do {
        const [next, found] = await redis.hscan(keys.connectors(memberId), cursor, 'COUNT', PAGE);
        cursor = next;
        // A scan gives each field and its value.
        for (let place = 0; place < found.length; place += 2) stored.set(found[place] ?? '', found[place + 1] ?? '');
      } while (cursor !== '0');
      return [...stored.keys()].flatMap((field) => lineOf(field, stored));
    },
  };
}

/** Connector ids are lower case at the portal (`imconnector.register`), yet compared without regard to case. */
function fieldOf(connector: string | undefined, line: number | undefined): string {
  return `${connector?.toLowerCase() ?? ''}|${line ?? ''}`;
}

/** What the field says, or one that overrules it. */
function lineOf(field: string, stored: ReadonlyMap<string, string>): readonly ConnectorLine[] {
  const [connector = '', line = ''] = field.split('|');
  const values = [field, `|${line}`, '|'].map((name) => stored.get(name) ?? null);
  const said = newest(values);
  if (!said) return [];
  return [
    {
      connector: connector === '' ? null : connector,
      line: line === '' ? null : Number(line),
      state: said.state,
      sinceTs: said.ts,
    },
  ];
}

interface Said {
  readonly ts: number;
  readonly state: 'on' | 'off';
}

function newest(values: readonly (string | null)[]): Said | undefined {
  let said: Said | undefined;
  for (const value of values) {
    if (value === null) continue;
    const [digits, word] = value.split(' ');
    const ts = Number(digits);
    if (said && (ts < said.ts || (ts === said.ts && word === 'on'))) continue;
    said = { ts, state: word === 'on' ? 'on' : 'off' };
  }
  return said;
}
