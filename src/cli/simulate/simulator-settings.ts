import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errorCode } from '../../shared/caught-error.js';
import { loadConfig } from '../../shared/config.js';
import { isLoopbackName, type HostEntry } from '../../shared/host-entry.js';
import { StartError } from '../../shared/start-error.js';

/** What the simulator and the app must agree on. */
export interface SimulatorSettings {
  /** Where the app takes events in. */
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Of the OAuth server; 0 for a free one. */
  readonly port: number;
  /** Of the portals, in their order; further ones take free ports. */
  readonly portalPorts: readonly number[];
  readonly incomingSecret: string | undefined;
  /** Whether `npm start` wrote them, so that the app has them already. */
  readonly isFromFile: boolean;
}

export interface SettingsQuery {
  readonly env: NodeJS.ProcessEnv;
  /** Each in the place of what is found. */
  readonly dataDir: string | undefined;
  readonly url: string | undefined;
}

const SETTINGS_FILE = 'simulator.json';
const DEFAULT_URL = 'http://127.0.0.1:3000/events';
const VARIABLES = [
  'DATA_DIR',
  'B24_CLIENT_ID',
  'B24_CLIENT_SECRET',
  'B24_OAUTH_HOSTS',
  'B24_PORTAL_HOSTS',
  'INCOMING_SECRET',
];

const port = z.int().min(1).max(65_535);
const fileSchema = z.object({
  url: z.url(),
  clientId: z.string().min(1),
  clientSecret: z.string().min(1),
  port,
  portalPorts: z.array(port),
  incomingSecret: z.string().startsWith('whsec_').nullish(),
});

/**
 * From the file that `npm start` leaves in its data folder, else from the environment that the app has.
 *
 * @throws {StartError} where there is neither, {ConfigError} where a variable is wrong.
 */
export async function findSettings({ env, dataDir, url }: SettingsQuery): Promise<SimulatorSettings> {
  // A fault in a variable that the simulator does not read is no concern of it.
  const names = VARIABLES.flatMap((name) => [name, `${name}_FILE`]);
  const config = loadConfig(Object.fromEntries(names.map((name) => [name, env[name]])));
  const file = join(dataDir ?? config.dataDir, SETTINGS_FILE);
  const written = await readSettings(file);
  if (written) return { ...written, url: url ?? written.url };
  const { b24ClientId: clientId, b24ClientSecret: clientSecret } = config;
  if (clientId === undefined || clientSecret === undefined)
    throw new StartError(
      `there is no ${file}, and B24_CLIENT_ID is unset: run npm start first, in another window, or set B24_CLIENT_ID and B24_CLIENT_SECRET here as for the app`,
    );
  const [oauthPort = 0] = loopbackPorts(config.b24OauthHosts);
  const portalPorts = loopbackPorts(config.b24PortalHosts);
  const [incomingSecret] = config.incomingSecrets;
  return {
    url: url ?? DEFAULT_URL,
    clientId,
    clientSecret,
    port: oauthPort,
    portalPorts,
    incomingSecret,
    isFromFile: false,
  };
}

async function readSettings(file: string): Promise<SimulatorSettings | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new StartError(`${file} cannot be read: ${errorCode(error) ?? 'unknown'}`);
  }
  const parsed = fileSchema.safeParse(parseJson(text));
  // What is wrong is told by its place only: the file holds secrets.
  if (!parsed.success)
    throw new StartError(
      `${file} is not what npm start writes: see ${parsed.error.issues[0]?.path.join('.') || 'its form'}`,
    );
  return { ...parsed.data, incomingSecret: parsed.data.incomingSecret ?? undefined, isFromFile: true };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function loopbackPorts(hosts: readonly HostEntry[]): readonly number[] {
  return hosts.flatMap(({ hostname, port: listed }) => (isLoopbackName(hostname) && listed !== null ? [listed] : []));
}
