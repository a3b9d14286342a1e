import { randomUUID } from 'node:crypto';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { ConfigError, loadConfig, type Config } from '../shared/config.js';
import { createHandledEvents } from '../shared/handled-events.js';
import { createKeys, type Keys } from '../shared/keys.js';
import { createLogger, type Logger } from '../shared/logger.js';
import { portalPlanOf } from '../shared/portal-setup.js';
import { createPortalStore } from '../shared/portals.js';
import type { Redis } from '../shared/redis.js';
import { buildRest } from '../shared/rest-stack.js';
import { createSealer } from '../shared/sealer.js';
import { registerSecretKey } from '../shared/secret-key-registry.js';
import { loadSecretKeys } from '../shared/secret-keys.js';
import type { CommandHost } from './command-host.js';
import { openRedis } from './redis/open-redis.js';
import { isFault, subscribePortals, type SubscribeResult } from './subscribe-portals.js';

export interface SubscribeOptions {
  /** `member_id`s; all portals where there are none. */
  readonly portal: readonly string[];
  readonly json: boolean;
  readonly timeoutSeconds: number;
}

export function subscribeCommand(host: CommandHost): Command {
  return new Command('subscribe')
    .description(
      "Binds the app's events at its portals to PUBLIC_URL + EVENTS_PATH, and registers B24_CONNECTORS. Again is harmless.",
    )
    .option('--portal <member_id>', 'only this portal; may be given several times', collect, [])
    .option('--json', 'one JSON object instead of lines', false)
    .option(
      '--timeout-seconds <seconds>',
      'how long one portal may take, waiting for its limits included',
      seconds,
      300,
    )
    .addHelpText('after', ENVIRONMENT_HELP)
    .action(async (options: SubscribeOptions) => {
      process.exitCode = await subscribe(options, host);
    });
}

const ENVIRONMENT_HELP = `
Reads the same variables as the other processes: PUBLIC_URL, B24_CLIENT_ID and B24_CLIENT_SECRET are needed. Where REDIS_URL is
unset it finds the Redis that \`npm start\` keeps on DATA_DIR. Exit code 0 when all went well, 1 when a portal could not be set up,
78 when a variable is missing or wrong, 130 when a signal ended it.`;

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function seconds(value: string): number {
  if (!/^[1-9]\d{0,4}$/.test(value)) throw new InvalidArgumentError('expected whole seconds from 1 to 99999.');
  return Number(value);
}

/**
 * Gives the exit code: 0 when every portal is set up, or there is none; 130 after a signal, which lets no further portal begin and
 * waits for new tokens that are on their way; 1 otherwise.
 *
 * @throws {ConfigError} for a variable that is missing, {StartError} where Redis does not answer.
 */
export async function subscribe(options: SubscribeOptions, { env, ...host }: CommandHost): Promise<number> {
  const config = loadConfig(env);
  requireApp(config);
  const logger = createLogger('error', 'subscribe', process.stderr);
  const redis = await openRedis(config, logger);
  try {
    const keys = createKeys(config.queuePrefix);
    const results = await subscribeAll(options, { config, redis, keys, logger, ...host });
    if (options.json) host.write(JSON.stringify({ portals: results.map(jsonOf) }));
    if (host.signal.aborted) return EXIT_INTERRUPTED;
    return results.some(({ outcome }) => isFault(outcome)) ? 1 : 0;
  } finally {
    redis.disconnect();
  }
}

/** As a shell gives it for a program that Ctrl-C ended. */
const EXIT_INTERRUPTED = 130;

interface Parts extends Omit<CommandHost, 'env'> {
  readonly config: Config;
  readonly redis: Redis;
  readonly keys: Keys;
  readonly logger: Logger;
}

async function subscribeAll(options: SubscribeOptions, parts: Parts): Promise<readonly SubscribeResult[]> {
  const { config, redis, keys, logger, signal } = parts;
  const tell = options.json ? () => undefined : parts.write;
  const secretKeys = await requireSecretKeys(config);
  await registerSecretKey(redis, keys, secretKeys);
  const sealer = createSealer(secretKeys);
  const portals = createPortalStore({ redis, keys, sealer, prefix: config.queuePrefix });
  const memberIds = options.portal.length > 0 ? [...new Set(options.portal)] : await portals.all();
  if (memberIds.length === 0) tell('no portal is installed: there is nothing to do');
  const plan = portalPlanOf(config, await createHandledEvents({ redis, keys }).all());
  const stack = buildRest(config, { redis, keys, sealer, portals, logger });
  if (!plan || !stack) throw new ConfigError([PUBLIC_URL_WANTED, CLIENT_WANTED]);
  const results: SubscribeResult[] = [];
  try {
    await subscribePortals(memberIds, {
      portals,
      rest: stack.rest,
      plan,
      runKey: `subscribe.${randomUUID()}`,
      signal,
      timeoutMs: options.timeoutSeconds * 1000,
      onResult: (result) => {
        results.push(result);
        tell(lineOf(result));
      },
    });
  } finally {
    if (signal.aborted) parts.say('stopping: new tokens that are on their way are waited for');
    await stack.close();
  }
  return results;
}

const CLIENT_WANTED = 'B24_CLIENT_ID, B24_CLIENT_SECRET: expected those of the app, to call its portals; got none';
const PUBLIC_URL_WANTED = 'PUBLIC_URL: expected the address at which Bitrix24 reaches the ingress; got none';

/** @throws {ConfigError} that names all that is missing. */
function requireApp({ publicUrl, b24ClientId }: Config): void {
  const problems = [
    ...(publicUrl === undefined ? [PUBLIC_URL_WANTED] : []),
    ...(b24ClientId === undefined ? [CLIENT_WANTED] : []),
  ];
  if (problems.length > 0) throw new ConfigError(problems);
}

/** A process that starts makes a key where there is none. A command that made one would open nothing with it. */
async function requireSecretKeys(config: Config): ReturnType<typeof loadSecretKeys> {
  const file = join(config.dataDir, 'secret.key');
  const isThere = await access(file).then(
    () => true,
    () => false,
  );
  if (config.secretKey === undefined && !isThere)
    throw new ConfigError([
      `SECRET_KEY: expected the key of the other processes, or their DATA_DIR with it in ${file}`,
    ]);
  return loadSecretKeys(config);
}

function lineOf({ memberId, domain, outcome }: SubscribeResult): string {
  const name = domain === null ? memberId : `${memberId} (${domain})`;
  if (isFault(outcome)) return `${name}: ${outcome.message}`;
  const { bound, already, registered } = outcome;
  return `${name}: bound ${bound.length}, already ${already.length}, registered ${registered.length}`;
}

function jsonOf({ memberId, domain, outcome }: SubscribeResult): Record<string, unknown> {
  const portal = { member_id: memberId, domain };
  return isFault(outcome) ? { ...portal, ok: false, error: outcome } : { ...portal, ok: true, ...outcome };
}
