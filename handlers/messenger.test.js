import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSimulator } from 'bitrix24-event-worker/simulator';

const app = `http://127.0.0.1:${process.env.API_PORT ?? 3100}`;
const incoming = { url: `${app}/incoming`, secret: `whsec_${randomBytes(32).toString('base64')}` };
const simulator = await startSimulator({ incoming });
const portal = await simulator.addPortal();
const dataDir = await mkdtemp(join(tmpdir(), 'messenger-'));

const system = spawn(process.execPath, ['dist/cli/start.js'], {
  stdio: 'ignore',
  env: {
    ...process.env,
    API_PORT: new URL(app).port,
    DATA_DIR: dataDir,
    HANDLERS_DIR: import.meta.dirname,
    PUBLIC_URL: app,
    B24_CLIENT_ID: simulator.clientId,
    B24_CLIENT_SECRET: simulator.clientSecret,
    B24_OAUTH_HOSTS: simulator.oauthHost,
    B24_PORTAL_HOSTS: portal.host,
    B24_CONNECTORS: '[{"id":"demo_messenger","name":"Demo messenger"}]',
    INCOMING_SECRET: incoming.secret,
    MESSENGER_URL: `${simulator.url}/messenger`,
  },
});

before(async () => {
  await until('the ingress answers', () =>
    fetch(app)
      .then((answer) => answer.ok)
      .catch(() => false),
  );
  await portal.install({ eventsUrl: `${app}/events` });
  await until('the connector is registered', () => portal.state.connectors.has('demo_messenger'));
});

after(async () => {
  system.kill('SIGTERM');
  if (system.exitCode === null) await once(system, 'exit');
  await simulator.close();
  await rm(dataDir, { recursive: true });
});

test('delivers what operators write, and confirms each message once, duplicates or not', async () => {
  simulator.messenger.faults.next(3, { kind: 'status', status: 503 });
  await portal.sendMany({ count: 20, duplicates: 0.2 });
  await until('all is confirmed', () => simulator.report().messages.once === 20);
  assert.equal(simulator.messenger.messages.size, 20);
});

test('brings in what a customer writes once, though it is posted twice', async () => {
  portal.state.connectors.get('demo_messenger').lines.set(1, { isActive: true, data: null });
  const { memberId } = portal;
  const message = { memberId, connector: 'demo_messenger', line: 1, chat: 'chat-1', text: 'Hello', duplicates: 1 };
  await simulator.messenger.write(message);
  await until('it is in the portal', () => portal.state.incoming.length > 0);
  assert.equal(portal.state.incoming.length, 1);
});

async function until(what, isTrue) {
  for (const endsAt = Date.now() + 30_000; !(await isTrue()); await sleep(50))
    if (Date.now() > endsAt) throw new Error(`not within 30 s: ${what}`);
}
