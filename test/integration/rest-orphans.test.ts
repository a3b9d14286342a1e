import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { fingerprint } from '../../src/shared/bitrix24/rest/renewal-files.js';
import { createRestWorld, type RestWorld } from '../support/rest-world.js';
import { useSharedRedis } from '../support/shared-redis.js';

const shared = useSharedRedis();
let world: RestWorld;

beforeAll(async () => {
  world = await createRestWorld(shared);
});
afterAll(async () => {
  await world.close();
  await shared.close();
});

it('keeps the tokens of a portal that has no record for thirty days, unless it was removed', async () => {
  const folder = join(world.dataDir, 'renewals');
  await mkdir(folder);
  const { renewals, portals } = world.process();
  const writeAt = async (memberId: string, ageDays: number) => {
    const path = join(folder, `${fingerprint(memberId)}.json`);
    await writeFile(path, JSON.stringify({ v: 1, memberId, generation: 2, seal: 'of any key' }));
    const atSeconds = Date.now() / 1000 - ageDays * 86_400;
    await utimes(path, atSeconds, atSeconds);
  };
  await writeAt('young', 29.9);
  await writeAt('old', 30.1);
  await writeAt('removed', 0);
  await portals.remove('removed', { receivedAtMs: 1, deliveryId: 'd', isClean: false });
  await renewals.restore();
  expect(await readdir(folder)).toEqual([`${fingerprint('young')}.json`]);
});
