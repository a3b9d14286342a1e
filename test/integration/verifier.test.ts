import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createPortalStore, emptyPortal } from '../../src/shared/portals.js';
import { sealSecrets } from '../../src/shared/delivery-seal.js';
import { createSealer } from '../../src/shared/sealer.js';
import { toSecretKey } from '../../src/shared/secret-keys.js';
import { createVerifier } from '../../src/worker/verifier.js';
import { APPLICATION_TOKEN, MEMBER_ID, deliveryOf } from '../support/deliveries.js';
import { useSharedRedis } from '../support/shared-redis.js';

const shared = useSharedRedis();
const { redis, keys, prefix } = shared;
const sealer = createSealer({ current: toSecretKey(Buffer.alloc(32, 3)), previous: [] });
const portals = createPortalStore({ redis, keys, sealer, prefix });
afterAll(() => shared.close());

function verdict(tokens: Record<string, string[]>, changes: Record<string, string> = {}, receivedAtMs = Date.now()) {
  const verifier = createVerifier({ applicationTokens: new Map(Object.entries(tokens)), portals, sealer });
  const delivery = { ...deliveryOf(sealer, 'ONIMCONNECTORSTATUSDELETE', changes), receivedAtMs };
  return verifier.verify(delivery).then(({ kind }) => kind);
}

describe('verification', () => {
  it('takes any of the tokens of the portal and no other', async () => {
    expect(await verdict({ [MEMBER_ID]: ['other', APPLICATION_TOKEN] })).toBe('verified');
    expect(await verdict({ [MEMBER_ID]: ['other'] })).toBe('forged');
    expect(await verdict({ [MEMBER_ID]: [`${APPLICATION_TOKEN}x`] })).toBe('forged');
  });

  it('does not take the token of one portal for another', async () => {
    const tokens = { [MEMBER_ID]: ['own'], other: [APPLICATION_TOKEN] };
    expect(await verdict(tokens)).toBe('forged');
  });

  it('opens by the token for all only portals without an entry of their own', async () => {
    expect(await verdict({ '*': [APPLICATION_TOKEN] })).toBe('verified');
    expect(await verdict({ '*': [APPLICATION_TOKEN], [MEMBER_ID]: ['own'] })).toBe('forged');
  });

  it('knows nothing of a portal that is neither configured nor installed', async () => {
    expect(await verdict({ other: [APPLICATION_TOKEN] })).toBe('portal-unknown');
  });

  it('takes the token of an installed portal, which the token for all does not open', async () => {
    const memberId = 'installed-portal';
    const from = { 'auth[member_id]': memberId };
    const token = (text: string) => ({ token: text, receivedBeforeMs: null });
    await portals.save({ ...emptyPortal(memberId), applicationTokens: [token(APPLICATION_TOKEN)] });
    expect(await verdict({}, from)).toBe('verified');
    await portals.save({ ...emptyPortal(memberId), applicationTokens: [token('another')] });
    expect(await verdict({ '*': [APPLICATION_TOKEN] }, from)).toBe('forged');
    expect(await redis.get(keys.portal(memberId))).not.toContain('another');
    await portals.remove(memberId, { receivedAtMs: 1, deliveryId: 'an-uninstallation', isClean: false });
    expect(await verdict({}, from)).toBe('portal-unknown');
  });

  it('does not open by the token for all a portal whose own tokens were all replaced', async () => {
    const memberId = 'stale-portal';
    const replaced = { token: 'old', receivedBeforeMs: 1000 };
    await portals.save({ ...emptyPortal(memberId), applicationTokens: [replaced] });
    expect(await verdict({ '*': [APPLICATION_TOKEN] }, { 'auth[member_id]': memberId }, 1000)).toBe('forged');
  });

  it('lets a replaced token hold for what was received before', async () => {
    const memberId = 'updated-portal';
    const replaced = { token: APPLICATION_TOKEN, receivedBeforeMs: 1000 };
    await portals.save({
      ...emptyPortal(memberId),
      applicationTokens: [{ token: 'new', receivedBeforeMs: null }, replaced],
    });
    expect(await verdict({}, { 'auth[member_id]': memberId }, 999)).toBe('verified');
    expect(await verdict({}, { 'auth[member_id]': memberId }, 1000)).toBe('forged');
  });
});

describe('after the removal of the app', () => {
  const memberId = 'removed-portal';
  const removal = { receivedAtMs: 5000, deliveryId: 'the-removal', isClean: false };
  const verifierOf = (tokens: Record<string, string[]> = {}) =>
    createVerifier({ applicationTokens: new Map(Object.entries(tokens)), portals, sealer });
  const deliveryAt = (receivedAtMs: number, name = 'ONIMCONNECTORSTATUSDELETE') => ({
    ...deliveryOf(sealer, name, { 'auth[member_id]': memberId }),
    receivedAtMs,
  });

  beforeAll(() => portals.remove(memberId, removal));

  it('cancels what was received before, and not what came later', async () => {
    expect(await verifierOf().verify(deliveryAt(4999))).toEqual({ kind: 'cancelled', removal });
    expect(await verifierOf().verify(deliveryAt(5000))).toEqual({ kind: 'portal-unknown' });
    expect(await verifierOf().removalAfter(deliveryAt(4999))).toEqual(removal);
    expect(await verifierOf().removalAfter(deliveryAt(5000))).toBeUndefined();
  });

  it('lets the delivery of the removal itself go on, and a repeated removal end', async () => {
    const own = { ...deliveryAt(5000, 'ONAPPUNINSTALL'), id: 'the-removal' };
    const resealed = { ...own, seal: sealSecrets(sealer, { auth: { application_token: 'x' }, data: [] }, own) };
    expect((await verifierOf().verify(resealed)).kind).toBe('verified');
    expect(await verifierOf().verify(deliveryAt(6000, 'ONAPPUNINSTALL'))).toEqual({ kind: 'cancelled', removal });
  });

  it('goes on believing a portal that the environment knows', async () => {
    const tokens = { [memberId]: [APPLICATION_TOKEN] };
    expect((await verifierOf(tokens).verify(deliveryAt(4999))).kind).toBe('verified');
    expect(await verifierOf(tokens).removalAfter(deliveryAt(4999))).toBeUndefined();
  });
});

describe('where installations can be proven', () => {
  const proving = (tokens: Record<string, string[]>) =>
    createVerifier({ applicationTokens: new Map(Object.entries(tokens)), portals, sealer, canProve: true });

  it('an installation with a token that is not known is to be proven, any other event is not', async () => {
    const install = deliveryOf(sealer, 'ONAPPINSTALL');
    const { memberId } = install.auth;
    expect((await proving({}).verify(install)).kind).toBe('unproven');
    expect((await proving({ [memberId]: ['other'] }).verify(install)).kind).toBe('unproven');
    expect((await proving({ [MEMBER_ID]: ['other'] }).verify(deliveryOf(sealer, 'ONCRMDEALUPDATE'))).kind).toBe(
      'forged',
    );
  });

  it('a portal that the token for all does not open may be installed yet', async () => {
    expect((await proving({ '*': ['other'] }).verify(deliveryOf(sealer, 'ONCRMDEALUPDATE'))).kind).toBe(
      'portal-unknown',
    );
  });

  it('a message of our own systems needs a portal that is known, and no token', async () => {
    const message = { ...deliveryOf(sealer, 'ONCRMDEALUPDATE'), source: 'incoming' as const };
    const bare = { ...message, seal: sealSecrets(sealer, { auth: {}, data: [] }, message) };
    expect((await proving({ [MEMBER_ID]: ['any'] }).verify(bare)).kind).toBe('verified');
    expect((await proving({}).verify(bare)).kind).toBe('portal-unknown');
  });
});
