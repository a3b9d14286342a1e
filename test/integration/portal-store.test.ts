import { afterAll, describe, expect, it } from '@jest/globals';
import { createPortalStore, emptyPortal, portalChangedChannel, type Portal } from '../../src/shared/portals.js';
import { duplicateOf } from '../../src/shared/redis.js';
import { createSealer } from '../../src/shared/sealer.js';
import { toSecretKey } from '../../src/shared/secret-keys.js';
import { useSharedRedis } from '../support/shared-redis.js';
import { waitUntil } from '../support/wait-until.js';

const shared = useSharedRedis();
const { redis, keys, prefix } = shared;
const OLD = toSecretKey(Buffer.alloc(32, 1));
const NEW = toSecretKey(Buffer.alloc(32, 2));
const portals = createPortalStore({ redis, keys, prefix, sealer: createSealer({ current: OLD, previous: [] }) });
afterAll(() => shared.close());

const OAUTH = { accessToken: 'access-1', refreshToken: 'refresh-1', userId: 1, generation: 1 };

function portalOf(memberId: string, changes: Partial<Portal> = {}): Portal {
  const applicationTokens = [{ token: 'application-token', receivedBeforeMs: null }];
  return { ...emptyPortal(memberId), applicationTokens, oauth: OAUTH, ...changes };
}

describe('the record of a portal', () => {
  it('is found as it was saved, and none of its tokens stands in the open', async () => {
    const portal = portalOf('as-saved', { domain: 'x.bitrix24.com', isEnterprise: true });
    await portals.save(portal);
    expect(await portals.find('as-saved')).toEqual(portal);
    const text = await redis.get(keys.portal('as-saved'));
    expect(text).toContain('x.bitrix24.com');
    expect(text).not.toMatch(/application-token|access-1|refresh-1/);
    expect(await portals.all()).toContain('as-saved');
  });

  it('does not open as that of another portal', async () => {
    await portals.save(portalOf('moved-from'));
    await redis.set(keys.portal('moved-to'), (await redis.get(keys.portal('moved-from'))) ?? '');
    await expect(portals.find('moved-to')).rejects.toThrow('cannot be opened: broken');
  });

  it.each([
    ['of the release before', { v: 1 }],
    ['of a later release', { v: 3 }],
    ['with a field more', { later: true }],
    ['with a field less', { paymentTs: undefined }],
  ])('%s is not read, and the error names the portal', async (_what, change) => {
    await redis.del(keys.portal('other-release'));
    await portals.save(portalOf('other-release'));
    const record = JSON.parse((await redis.get(keys.portal('other-release'))) ?? '');
    await redis.set(keys.portal('other-release'), JSON.stringify({ ...record, ...change }));
    const told = 'the record of portal other-release was written by another release';
    await expect(portals.look('other-release')).rejects.toThrow(told);
    await expect(portals.reseal('other-release')).rejects.toThrow(told);
    await redis.set(keys.portal('other-release'), 'null');
    await expect(portals.find('other-release')).rejects.toThrow(told);
  });

  it('is not written where no release could read it', async () => {
    const portal = portalOf('unreadable');
    await expect(portals.save({ ...portal, installedTs: NaN })).rejects.toThrow('installedTs');
    await expect(portals.save(Object.assign(portal, { another: 1 }))).rejects.toThrow('another');
    expect(await portals.find('unreadable')).toBeUndefined();
  });

  it('whose sealed part is of another release is not read', async () => {
    const seal = createSealer({ current: OLD, previous: [] }).seal(
      JSON.stringify({ applicationTokens: ['application-token'], oauth: OAUTH }),
      JSON.stringify(['portal', 'other-seal']),
    );
    await portals.save(portalOf('other-seal'));
    const record = JSON.parse((await redis.get(keys.portal('other-seal'))) ?? '');
    await redis.set(keys.portal('other-seal'), JSON.stringify({ ...record, seal }));
    const told = 'the sealed part of the record of portal other-seal was written by another release';
    await expect(portals.find('other-seal')).rejects.toThrow(told);
  });

  it('keeps every one of many changes made at the same time', async () => {
    await portals.save(portalOf('contended'));
    const change = (portal: Portal | undefined): Portal | undefined =>
      portal && { ...portal, installedAtMs: portal.installedAtMs + 1 };
    await Promise.all(Array.from({ length: 10 }, () => portals.update('contended', change)));
    expect((await portals.find('contended'))?.installedAtMs).toBe(10);
  });

  it('is told of to all workers when it changed, and not when nothing was written', async () => {
    const subscriber = duplicateOf(redis);
    const told: string[] = [];
    subscriber.on('message', (_channel: string, memberId: string) => told.push(memberId));
    await subscriber.subscribe(portalChangedChannel(prefix));
    await portals.update('quiet', () => undefined);
    await portals.save(portalOf('loud'));
    await portals.remove('loud', { receivedAtMs: 1, deliveryId: 'd', isClean: false });
    await waitUntil('both changes are told', () => told.length === 2);
    expect(told).toEqual(['loud', 'loud']);
    subscriber.disconnect();
  });
});

describe('a removal', () => {
  const removal = { receivedAtMs: 500, deliveryId: 'uninstallation', isClean: true };

  it('leaves nothing but a note without the id of the portal', async () => {
    await portals.save(portalOf('removed', { installedAtMs: 100 }));
    expect(await portals.remove('removed', removal)).toBe(true);
    expect(await portals.look('removed')).toEqual({ portal: undefined, removal });
    expect((await redis.keys(`${prefix}*`)).filter((key) => key.includes(':removed'))).toEqual([]);
    expect(await portals.all()).not.toContain('removed');
  });

  it('of another release is not read, and the error names the portal', async () => {
    await redis.set(keys.portalRemoved('other-removal'), JSON.stringify({ ...removal, isClean: undefined }));
    const told = 'the removal of portal other-removal was written by another release';
    await expect(portals.look('other-removal')).rejects.toThrow(told);
  });

  it('does not undo an installation that came after it', async () => {
    await portals.save(portalOf('reinstalled', { installedAtMs: 501 }));
    expect(await portals.remove('reinstalled', removal)).toBe(false);
    expect((await portals.look('reinstalled')).portal).toBeDefined();
  });
});

describe('a change of keys', () => {
  it('seals a record anew once, after which the old key is not needed for it', async () => {
    await portals.save(portalOf('resealed'));
    const both = createPortalStore({ ...shared, sealer: createSealer({ current: NEW, previous: [OLD] }) });
    expect(await both.reseal('resealed')).toBe(true);
    expect(await both.reseal('resealed')).toBe(false);
    const newOnly = createPortalStore({ ...shared, sealer: createSealer({ current: NEW, previous: [] }) });
    expect((await newOnly.find('resealed'))?.oauth).toEqual(OAUTH);
    await expect(portals.find('resealed')).rejects.toThrow('cannot be opened: key-unknown');
  });
});
