import { loadConfig } from '../../shared/config.js';
import { isLoopbackName, type HostEntry } from '../../shared/host-entry.js';
import { StartError } from '../../shared/start-error.js';
import { readSimulatorFile, simulatorFilePath, type SimulatorFile } from '../simulator-file.js';

/** What the simulator and the app must agree on; free ports are taken where it is 0, or no portal has one. */
export interface SimulatorSettings extends Omit<SimulatorFile, 'incomingSecret'> {
  readonly incomingSecret: string | undefined;
  /** Under which the app reaches this machine, where it runs on another one. */
  readonly hostname: string | undefined;
  /** Whether `npm start` wrote them, so that the app has them already. */
  readonly isFromFile: boolean;
}

export interface SettingsQuery {
  readonly env: NodeJS.ProcessEnv;
  /** Each in the place of what is found. */
  readonly dataDir: string | undefined;
  readonly url: string | undefined;
  readonly hostname: string | undefined;
}

const DEFAULT_URL = 'http://127.0.0.1:3000/events';
const VARIABLES = [
  'DATA_DIR',
  'B24_CLIENT_ID',
  'B24_CLIENT_SECRET',
  'B24_OAUTH_HOSTS',
  'B24_PORTAL_HOSTS',
  'INCOMING_SECRET',
];

/**
 * From the file that `npm start` leaves in its data folder, else from the environment that the app has.
 *
 * @throws {StartError} where there is neither, {ConfigError} where a variable is wrong.
 */
export async function findSettings({ env, dataDir, url, hostname }: SettingsQuery): Promise<SimulatorSettings> {
  // A fault in a variable that the simulator does not read is no concern of it.
  const names = VARIABLES.flatMap((name) => [name, `${name}_FILE`]);
  const config = loadConfig(Object.fromEntries(names.map((name) => [name, env[name]])));
  const file = simulatorFilePath(dataDir ?? config.dataDir);
  const written = await readSimulatorFile(file);
  if (written) return { ...written, url: url ?? written.url, hostname, isFromFile: true };
  const { b24ClientId: clientId, b24ClientSecret: clientSecret } = config;
  if (clientId === undefined || clientSecret === undefined)
    throw new StartError(
      `there is no ${file}, and B24_CLIENT_ID is unset: run npm start first, in another window, or set B24_CLIENT_ID and B24_CLIENT_SECRET here as for the app`,
    );
  const [oauthPort = 0] = portsHere(config.b24OauthHosts, hostname);
  const portalPorts = portsHere(config.b24PortalHosts, hostname);
  const [incomingSecret] = config.incomingSecrets;
  return {
    url: url ?? DEFAULT_URL,
    clientId,
    clientSecret,
    port: oauthPort,
    portalPorts,
    incomingSecret,
    hostname,
    isFromFile: false,
  };
}

/** Of the hosts that the app may call those that are the simulator's to be. */
function portsHere(hosts: readonly HostEntry[], name: string | undefined): readonly number[] {
  const isHere = ({ hostname }: HostEntry): boolean =>
    name === undefined ? isLoopbackName(hostname) : hostname === name;
  return hosts.flatMap((entry) => (isHere(entry) && entry.port !== null ? [entry.port] : []));
}
