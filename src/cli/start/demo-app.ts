import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { Config } from '../../shared/config.js';
import { findFreePort } from '../free-port.js';
import { createForwardSecret } from './demo-portal.js';

/**
 * An app of which only the simulator knows: with it `b24-events simulate --install` can install it at what `npm start` runs, and the
 * example handlers have somebody to talk to. Its credentials and ports stand in a file in DATA_DIR that only this user can read, so
 * that no stranger can play Bitrix24 here.
 */
export interface DemoApp {
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Where the simulator will listen, as the OAuth server and as the messenger. */
  readonly port: number;
  readonly portalPorts: readonly number[];
  readonly incomingSecret: string;
}

const SCHEMA: z.ZodType<Omit<DemoApp, 'url'>> = z.object({
  clientId: z.string(),
  clientSecret: z.string(),
  port: z.number(),
  portalPorts: z.array(z.number()),
  incomingSecret: z.string(),
});

/** So many that their budgets together let a thousand calls through in half a minute. */
const PORTALS = 10;
const EXAMPLES = fileURLToPath(new URL('../../../handlers', import.meta.url));

/** undefined where the user has set anything of an app of his own: then nothing is made up beside it. */
export async function createDemoApp(
  config: Pick<Config, 'applicationTokens' | 'b24ClientId' | 'publicUrl' | 'eventsPath' | 'dataDir'>,
  apiPort: number,
): Promise<DemoApp | undefined> {
  const isUsersOwn = config.b24ClientId !== undefined || config.publicUrl !== undefined;
  if (isUsersOwn || config.applicationTokens.size > 0) return undefined;
  const path = join(config.dataDir, 'simulator.json');
  // Kept from the last start: what Redis still holds of a simulated portal was made with them.
  const made = (await readMade(path)) ?? (await make());
  const app = { url: `http://127.0.0.1:${apiPort}${config.eventsPath}`, ...made };
  await write(path, JSON.stringify(app, undefined, 2));
  return app;
}

/** What the processes need to know of it; the example handlers where the user has none. */
export function demoAppEnvironment(app: DemoApp, handlersDir = EXAMPLES): Readonly<Record<string, string>> {
  const simulator = `127.0.0.1:${app.port}`;
  return {
    B24_CLIENT_ID: app.clientId,
    B24_CLIENT_SECRET: app.clientSecret,
    B24_OAUTH_HOSTS: simulator,
    B24_PORTAL_HOSTS: app.portalPorts.map((port) => `127.0.0.1:${port}`).join(','),
    B24_CONNECTORS: JSON.stringify([{ id: 'demo_messenger', name: 'Demo messenger' }]),
    PUBLIC_URL: new URL(app.url).origin,
    HANDLERS_DIR: handlersDir,
    INCOMING_SECRET: app.incomingSecret,
    MESSENGER_URL: `http://${simulator}/messenger`,
  };
}

async function make(): Promise<Omit<DemoApp, 'url'>> {
  const ports = new Set<number>();
  while (ports.size <= PORTALS) ports.add(await findFreePort());
  const [port = 0, ...portalPorts] = ports;
  return {
    clientId: `local.demo.${randomBytes(4).toString('hex')}`,
    clientSecret: randomBytes(24).toString('hex'),
    port,
    portalPorts,
    incomingSecret: createForwardSecret(),
  };
}

async function readMade(path: string): Promise<Omit<DemoApp, 'url'> | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  try {
    return SCHEMA.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  const draft = `${path}.${process.pid}`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(`${text}\n`);
  } finally {
    await file.close();
  }
  await rename(draft, path);
}
