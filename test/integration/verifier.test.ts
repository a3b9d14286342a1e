import { afterAll, describe, expect, it } from '@jest/globals';
import { createPortalStore, emptyPortal } from '../../src/shared/portals.js';
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
    await portals.remove(memberId, { receivedAtMs: 1, deliveryId: 'an-uninstallation' });
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
