import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { Config } from '../../shared/config.js';
import { findFreePort } from '../free-port.js';
import { readSimulatorFile, simulatorFilePath, writeSimulatorFile, type SimulatorFile } from '../simulator-file.js';
import { createForwardSecret } from './demo-portal.js';

/** So many that their budgets together let a thousand calls through in half a minute. */
const PORTALS = 10;
const EXAMPLES = fileURLToPath(new URL('../../../handlers', import.meta.url));

/**
 * An app of which only the simulator knows: with it `b24-events simulate --install` can install it at what `npm start` runs, and the
 * example handlers have somebody to talk to. Its credentials and ports stand in a file that only this user can read, so that no
 * stranger can play Bitrix24 here.
 *
 * undefined where the user has set anything of an app of his own: then nothing is made up beside it.
 */
export async function createDemoApp(
  config: Pick<Config, 'applicationTokens' | 'b24ClientId' | 'publicUrl' | 'eventsPath' | 'dataDir'>,
  apiPort: number,
): Promise<SimulatorFile | undefined> {
  const isUsersOwn = config.b24ClientId !== undefined || config.publicUrl !== undefined;
  if (isUsersOwn || config.applicationTokens.size > 0) return undefined;
  const path = simulatorFilePath(config.dataDir);
  // Kept from the last start: what Redis still holds of a simulated portal was made with them. What cannot be read is made anew.
  const made = (await readSimulatorFile(path).catch(() => undefined)) ?? (await make());
  const app = { ...made, url: `http://127.0.0.1:${apiPort}${config.eventsPath}` };
  await writeSimulatorFile(path, app);
  return app;
}

/** What the processes need to know of it; the example handlers where the user has none. */
export function demoAppEnvironment(app: SimulatorFile, handlersDir = EXAMPLES): Readonly<Record<string, string>> {
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

async function make(): Promise<Omit<SimulatorFile, 'url'>> {
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
