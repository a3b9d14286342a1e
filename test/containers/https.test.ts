import { chmod, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Agent, request } from 'undici';
import { findFreePort } from '../../src/cli/free-port.js';
import { RECEIVER_SECRET } from '../support/receiver.js';
import { waitUntil } from '../support/wait-until.js';
import { ComposeProject } from './compose-project.js';
import { docker } from './docker-command.js';

const DOMAIN = 'events.example.com';

let project: ComposeProject;
let httpPort: number;
let httpsPort: number;

beforeAll(async () => {
  [httpPort, httpsPort] = [await findFreePort(), await findFreePort()];
  const secrets = await mkdtemp(join(tmpdir(), 'b24-secrets-'));
  await chmod(secrets, 0o755);
  await writeFile(join(secrets, 'forward-secret'), RECEIVER_SECRET, { mode: 0o644 });
  project = await ComposeProject.create({
    files: ['deploy/https.yml'],
    // No authority on the internet gives a certificate for this name: Caddy is its own.
    env: {
      DOMAIN,
      TLS_OPTIONS: 'local_certs',
      HTTP_PORT: String(httpPort),
      HTTPS_PORT: String(httpsPort),
      HANDLERS_DIR: './test/fixtures/handlers',
      FORWARD_URL: 'http://127.0.0.1:1/',
      SECRETS_DIR: secrets,
      FORWARD_SECRET_FILE: '/run/b24/forward-secret',
    },
  });
  await project.up();
});

afterAll(() => project?.remove());

test('a domain is served with a certificate of its own, and the ingress knows its address and who posts', async () => {
  const root = await certificate();
  const agent = new Agent({ connect: { ca: root, servername: DOMAIN } });

  const answer = await request(`https://127.0.0.1:${httpsPort}/`, { headers: { host: DOMAIN }, dispatcher: agent });

  expect([answer.statusCode, await answer.body.text()]).toEqual([200, expect.stringContaining('event ingress')]);
  await agent.close();
  const environment = await project.compose(['exec', '-T', 'worker', 'printenv', 'PUBLIC_URL', 'TRUST_PROXY']);
  expect(environment.split('\n')).toEqual([`https://${DOMAIN}`, '2', '']);
});

test('handlers and secrets of this machine are there', async () => {
  const [worker] = await project.containers('worker');
  const log = await docker(['logs', worker?.id ?? '']);

  expect(log).toMatch(/"effects":\[.*"forward","handler-confirm"/);
});

test('plain http is sent on to https, and is open nowhere else', async () => {
  const answer = await request(`http://127.0.0.1:${httpPort}/install?a=1`, { headers: { host: DOMAIN } });
  const published = (await project.inspect()).flatMap(({ NetworkSettings }) =>
    Object.values(NetworkSettings.Ports).flatMap((hosts) => hosts?.map(({ HostPort }) => HostPort) ?? []),
  );

  expect([answer.statusCode, answer.headers['location']]).toEqual([308, `https://${DOMAIN}/install?a=1`]);
  expect(new Set(published)).toEqual(new Set([String(httpPort), String(httpsPort)]));
});

test('an error is logged without the query of its request', async () => {
  await project.compose(['stop', 'proxy']);
  const agent = new Agent({ connect: { rejectUnauthorized: false, servername: DOMAIN } });

  const url = `https://127.0.0.1:${httpsPort}/install?AUTH_ID=hidden-in-the-query`;
  const answer = await request(url, { headers: { host: DOMAIN, 'x-secret': 'hidden-in-a-header' }, dispatcher: agent });

  expect(answer.statusCode).toBe(502);
  await waitUntil('the error is logged', async () => (await project.compose(['logs', 'tls'])).includes('/install'));
  expect(await project.compose(['logs', 'tls'])).not.toMatch(/hidden-in/);
  await agent.close();
});

async function certificate(): Promise<string> {
  const path = '/var/lib/tls/caddy/pki/authorities/local/root.crt';
  const read = (): Promise<string> => project.compose(['exec', '-T', 'tls', 'cat', path]);
  await waitUntil('Caddy has made its authority', () =>
    read().then(
      () => true,
      () => false,
    ),
  );
  return read();
}
