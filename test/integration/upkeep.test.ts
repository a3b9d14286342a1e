import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createLogger } from '../../src/shared/logger.js';
import { createPortalStore, emptyPortal, type PortalStore } from '../../src/shared/portals.js';
import { createSealer } from '../../src/shared/sealer.js';
import { toSecretKey, type SecretKeys } from '../../src/shared/secret-keys.js';
import { startUpkeep } from '../../src/worker/upkeep.js';
import { useSharedRedis, type SharedRedisUse } from '../support/shared-redis.js';
import { waitUntil } from '../support/wait-until.js';

const EARLIER = toSecretKey(Buffer.alloc(32, 1));
const CURRENT = toSecretKey(Buffer.alloc(32, 2));
const UNKNOWN = toSecretKey(Buffer.alloc(32, 3));

let shared: SharedRedisUse;
let lines: Record<string, unknown>[];

beforeEach(() => {
  shared = useSharedRedis();
  lines = [];
});

afterEach(() => shared.close());

function storeWith(keys: SecretKeys): PortalStore {
  return createPortalStore({ ...shared, sealer: createSealer(keys) });
}

async function save(store: PortalStore, memberId: string): Promise<void> {
  const applicationTokens = [{ token: `token of ${memberId}`, receivedBeforeMs: null }];
  await store.save({ ...emptyPortal(memberId), applicationTokens });
}

function logged(event: string): readonly Record<string, unknown>[] {
  return lines.filter((line) => line['event'] === event);
}

test('seals every record anew that an earlier key sealed, also where one cannot be opened, which it names', async () => {
  const good = ['portal-1', 'portal-2', 'portal-3'];
  const bad = ['bad-1', 'bad-2', 'bad-3', 'bad-4'];
  for (const memberId of good) await save(storeWith({ current: EARLIER, previous: [] }), memberId);
  // Several, so that one comes before a good one in whatever order the set gives them.
  for (const memberId of bad) await save(storeWith({ current: UNKNOWN, previous: [] }), memberId);
  const portals = storeWith({ current: CURRENT, previous: [EARLIER] });
  const logger = createLogger('info', 'test', { write: (line) => void lines.push(JSON.parse(line)) });

  const upkeep = startUpkeep({ redis: shared.redis, portals, rest: undefined, logger });
  await waitUntil('the records are sealed anew', () => logged('portals.resealed').length > 0);
  upkeep.stop();

  expect(logged('portals.resealed')).toMatchObject([{ count: 3 }]);
  const withCurrent = storeWith({ current: CURRENT, previous: [] });
  for (const memberId of good) expect(await withCurrent.find(memberId)).toMatchObject({ memberId });
  const errors = logged('portal.not_resealed').map(({ level, memberId }) => ({ level, memberId }));
  expect(errors.toSorted((a, b) => String(a.memberId).localeCompare(String(b.memberId)))).toEqual(
    bad.map((memberId) => ({ level: 'error', memberId })),
  );
  expect(JSON.stringify(lines)).not.toContain('token of');
});
