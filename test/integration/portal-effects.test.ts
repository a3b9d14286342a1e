import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { toBitrixEvent } from '../../src/shared/bitrix24/to-event.js';
import { createPortalStore, emptyPortal } from '../../src/shared/portals.js';
import type { Effect } from '../../src/worker/effects/effect.js';
import { paymentEffect } from '../../src/worker/effects/payment.js';
import { uninstallationEffect } from '../../src/worker/effects/uninstallation.js';
import { deliveryOf } from '../support/deliveries.js';
import { silentLogger, useSharedRedis } from '../support/shared-redis.js';
import { workerSealer } from '../support/worker-bench.js';

const shared = useSharedRedis();
const portals = createPortalStore({ ...shared, sealer: workerSealer });
const signal = new AbortController().signal;
afterAll(() => shared.close());

let forgotten: { memberId: string; isClean: boolean }[] = [];
let failures = 0;

beforeEach(() => {
  forgotten = [];
  failures = 0;
});

function uninstallation(isConfigured = false): Effect {
  return uninstallationEffect({
    portals,
    logger: silentLogger,
    isConfigured: () => isConfigured,
    forget: async (memberId, { isClean }) => {
      if (failures > 0) {
        failures -= 1;
        throw new Error('Redis went away');
      }
      forgotten.push({ memberId, isClean });
    },
  });
}

/** One run; `ts` and the fields of `data` as the portal sends them. */
function run(effect: Effect, name: string, fields: Readonly<Record<string, string>>): Promise<void> {
  const fixture = deliveryOf(workerSealer, 'ONAPPUNINSTALL', { ...fields, event: name });
  const delivery = { ...fixture, id: fields['auth[member_id]'] ?? '' };
  const parsed = toBitrixEvent(delivery);
  if (!parsed.ok) throw new Error('the fixture does not fit');
  return effect.run({ event: parsed.event, eventId: 'e', delivery, secrets: { auth: {}, data: [] }, signal });
}

describe('a removal', () => {
  it('that failed in the middle is carried to its end by its next run', async () => {
    await portals.save(emptyPortal('half-removed'));
    const fields = { 'auth[member_id]': 'half-removed' };
    failures = 1;
    await expect(run(uninstallation(), 'ONAPPUNINSTALL', fields)).rejects.toThrow('Redis went away');
    expect(await portals.find('half-removed')).toBeUndefined();
    await run(uninstallation(), 'ONAPPUNINSTALL', fields);
    expect(forgotten).toEqual([{ memberId: 'half-removed', isClean: true }]);
  });

  it('of before the installation changes nothing, however late it comes', async () => {
    await portals.save({ ...emptyPortal('reinstalled'), installedTs: 2_000_000_000 });
    await run(uninstallation(), 'ONAPPUNINSTALL', { 'auth[member_id]': 'reinstalled', ts: '1999999000' });
    expect(await portals.find('reinstalled')).toBeDefined();
    await run(uninstallation(), 'ONAPPUNINSTALL', { 'auth[member_id]': 'reinstalled', ts: '2000000001' });
    expect(await portals.find('reinstalled')).toBeUndefined();
  });

  it('deletes nothing of what the app has kept where the environment knows the portal', async () => {
    await portals.save(emptyPortal('configured'));
    await run(uninstallation(true), 'ONAPPUNINSTALL', { 'auth[member_id]': 'configured' });
    expect(forgotten).toEqual([{ memberId: 'configured', isClean: false }]);
  });
});

describe('a repeated removal', () => {
  it('of what another delivery has removed does nothing', async () => {
    await portals.remove('gone', { receivedAtMs: 1, deliveryId: 'another', isClean: true });
    await run(uninstallation(), 'ONAPPUNINSTALL', { 'auth[member_id]': 'gone' });
    expect(forgotten).toEqual([]);
  });
});

describe('a payment', () => {
  const pay = (memberId: string, expired: 'Y' | 'N', ts: number) =>
    run(paymentEffect({ portals, now: () => 5000 }), 'ONAPPPAYMENT', {
      'auth[member_id]': memberId,
      'data[PAYMENT_EXPIRED]': expired,
      ts: String(ts),
    });

  it('that ended suspends its portal, and one that is made lets it go on', async () => {
    await portals.save(emptyPortal('payer'));
    await pay('payer', 'Y', 1000);
    expect((await portals.find('payer'))?.suspension).toMatchObject({ reason: 'payment', sinceMs: 5000 });
    await pay('payer', 'N', 1001);
    expect((await portals.find('payer'))?.suspension).toBeNull();
  });

  it('counts by the time of its event, not of its arrival', async () => {
    await portals.save(emptyPortal('late-payer'));
    await pay('late-payer', 'N', 1001);
    await pay('late-payer', 'Y', 1000);
    expect((await portals.find('late-payer'))?.suspension).toBeNull();
  });

  it('does not mend a dead refresh token', async () => {
    const suspension = { reason: 'reauthorize', sinceMs: 1, probeAtMs: null } as const;
    await portals.save({ ...emptyPortal('dead'), suspension });
    await pay('dead', 'N', 1000);
    expect((await portals.find('dead'))?.suspension).toEqual(suspension);
  });
});
