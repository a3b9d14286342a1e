import { afterEach, describe, expect, it } from '@jest/globals';
import type { SimulatedPortal } from '../../src/simulator/simulated-portal.js';
import { AppSystem, type AppSystemOptions } from '../support/app-system.js';
import type { SystemProcess } from '../support/system.js';
import { waitUntil } from '../support/wait-until.js';

const CONFIRM = 'imconnector.send.status.delivery';
const WORKERS = 4;

let app: AppSystem;
let workers: (SystemProcess | undefined)[];

async function start(options: AppSystemOptions = {}): Promise<SimulatedPortal> {
  app = await AppSystem.start({
    ...options,
    env: { HANDLERS_DIR: 'test/fixtures/handlers', EFFECT_TIMEOUT_MS: '30000' },
  });
  workers = [app.system.worker];
  while (workers.length < WORKERS) {
    await app.system.startWorker();
    workers.push(app.system.worker);
  }
  for (const portal of app.portals) {
    await portal.install({ eventsUrl: app.system.url });
    await app.isSetUp(portal);
  }
  return app.portal;
}
afterEach(() => app.close());

function logged(event: string): readonly Record<string, unknown>[] {
  return workers.flatMap((worker) => worker?.logged(event) ?? []);
}

function confirmed(portal: SimulatedPortal): number {
  return portal.calls.filter(({ method, status }) => method === CONFIRM && status === 200).length;
}

function confirms(portal: SimulatedPortal, count: number, timeoutMs = 60_000): Promise<void> {
  return waitUntil(`${count} messages are confirmed`, () => confirmed(portal) >= count, { timeoutMs });
}

describe('four workers', () => {
  it('renew an expired token once, and nobody fails for it', async () => {
    const portal = await start();
    portal.expireAccessTokens();
    await portal.sendMany({ count: 16 });
    await confirms(portal, 16);
    expect(portal.renewals).toBe(1);
    expect(confirmed(portal)).toBe(16);
    expect(logged('effect.failed')).toEqual([]);
    const working = workers.filter((worker) => (worker?.logged('effect.done') ?? []).length > 0);
    expect(working.length).toBeGreaterThan(1);
  });

  // 250 at once, and 5 a second after that: most of a minute.
  it('keep 500 calls within the budget of their portal, use up no attempt by waiting, and slow no other portal', async () => {
    const portal = await start({ portals: [{ isEnterprise: true }, {}] });
    const [, other] = app.portals;
    await portal.sendMany({ count: 500 });
    await waitUntil('the budget is used up', () => confirmed(portal) >= 240);
    await other?.sendMany({ count: 20 });
    if (other) await confirms(other, 20);
    const left = 500 - confirmed(portal);
    expect(left).toBeGreaterThan(50);
    await confirms(portal, 500, 150_000);
    expect(confirmed(portal)).toBe(500);
    expect(app.portals.map(({ overBudget }) => overBudget)).toEqual([0, 0]);
    const attempts = logged('effect.done').filter(({ effect }) => effect === 'handler-confirm');
    expect(attempts.filter(({ attempt }) => attempt !== 1)).toEqual([]);
    expect(logged('effect.given_up')).toEqual([]);
  }, 240_000);
});
