import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from '@jest/globals';
import { AppSystem } from '../support/app-system.js';
import { Load } from '../support/system.js';
import { waitUntil } from '../support/wait-until.js';

const OLD = randomBytes(32).toString('base64');
const NEW = randomBytes(32).toString('base64');
const ROTATED = { SECRET_KEY: NEW, SECRET_KEY_PREVIOUS: OLD };
const ADD = 'ONIMCONNECTORMESSAGEADD';

let app: AppSystem;
afterEach(() => app.close());

describe('a change of keys, process by process', () => {
  it('loses no event and no portal, and the old key is not needed for the portal any more', async () => {
    app = await AppSystem.start({ env: { SECRET_KEY: OLD } });
    await app.install();
    const { system, portal } = app;
    const oldWorker = system.worker;
    const changes = { 'auth[member_id]': portal.memberId, 'auth[application_token]': portal.applicationToken };
    const load = new Load(system, { lanes: 2, changes });
    await load.reaches(20);
    await system.startWorker(ROTATED);
    await waitUntil('the record is sealed anew', () => (system.worker?.logged('portals.resealed') ?? []).length === 1);
    await load.more(20);
    system.api?.signal('SIGTERM');
    await system.api?.ended();
    await system.startApi(ROTATED);
    await load.more(20);
    oldWorker?.signal('SIGTERM');
    await oldWorker?.ended();
    await load.stop();
    await system.allForwarded(load.accepted);
    system.worker?.signal('SIGTERM');
    await system.worker?.ended();

    await system.startWorker({ SECRET_KEY: NEW, SECRET_KEY_PREVIOUS: '' });
    portal.expireAccessTokens();
    const before = app.forwarded(ADD);
    await portal.send(ADD);
    await app.forwards(ADD, before + 1);
    expect(app.system.worker?.logged('delivery.rejected')).toEqual([]);
  });
});
