import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { AppSystem } from '../support/app-system.js';
import { everyFileIn } from '../support/file-content.js';
import { everythingIn } from '../support/redis-content.js';
import { waitUntil } from '../support/wait-until.js';

const ADD = 'ONIMCONNECTORMESSAGEADD';
let app: AppSystem;

beforeAll(async () => {
  app = await AppSystem.start({
    portals: [{}, {}],
    env: { HANDLERS_DIR: 'test/fixtures/handlers', EFFECT_ATTEMPTS: '2' },
  });
});
afterAll(() => app.close());

describe('the secrets of an app', () => {
  it('are found nowhere in the open, after installations, renewals, an update, failures and forgeries', async () => {
    const { portal, portals, system, simulator } = app;
    const [, other] = portals;
    const applicationTokens = portals.map(({ applicationToken }) => applicationToken);
    const answers: unknown[] = [];
    await app.install();
    const page = system.url.replace('/events', '/install');
    answers.push(await other?.install({ eventsUrl: system.url, page }));
    await app.isSetUp(other);
    answers.push(
      await other?.openPlacement({
        url: system.url.replace('/events', '/connector'),
        connector: 'simulated_messenger',
        line: 1,
      }),
    );
    portal.expireAccessTokens();
    await portal.send(ADD);
    await waitUntil('the tokens are renewed', () => portal.renewals === 1);
    await portal.update({ newToken: true });
    await app.isSetUp();
    applicationTokens.push(portal.applicationToken);
    portal.faults.next(10, { kind: 'not-json' }, 'imconnector.send.status.delivery');
    await portal.send(ADD);
    await waitUntil('a handler fails for good', () => (system.worker?.logged('effect.given_up') ?? []).length > 0);
    await portal.send(
      'ONAPPINSTALL',
      { INSTALLED: 'Y' },
      {
        tokens: portal.tokensOf({ admin: false }),
        auth: { application_token: 'forged' },
      },
    );
    await app.logs('delivery.rejected');
    await other?.uninstall({ clean: false });
    await app.logs('portal.removed', other);

    const redis = new Redis(system.redis.url);
    const places = {
      redis: await everythingIn(redis),
      files: await everyFileIn(system.dataDir),
      redisFiles: await everyFileIn(system.redis.dir),
      logs: `${system.api?.output()}${system.worker?.output()}`,
      forwarded: system.receiver.received.map(({ raw, headers }) => raw + JSON.stringify(headers)).join(''),
      answers: JSON.stringify(answers),
    };
    redis.disconnect();
    for (const text of Object.values(places)) expect(text.length).toBeGreaterThan(100);
    const secrets = [...simulator.issuedTokens, ...applicationTokens, simulator.clientSecret];
    expect(secrets.length).toBeGreaterThan(12);
    const found = Object.entries(places).flatMap(([place, text]) =>
      secrets.filter((secret) => text.includes(secret)).map((secret) => `${secret} in ${place}`),
    );
    expect(found).toEqual([]);
  });
});
