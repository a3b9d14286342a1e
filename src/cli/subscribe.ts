import { randomUUID } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import { ConfigError, loadConfig, type Config } from '../shared/config.js';
import { createHandledEvents } from '../shared/handled-events.js';
import { portalPlanOf } from '../shared/portal-setup.js';
import { createPortalStore } from '../shared/portals.js';
import { buildRest } from '../shared/rest-stack.js';
import { createSealer } from '../shared/sealer.js';
import { registerSecretKey } from '../shared/secret-key-registry.js';
import type { CommandHost } from './command-host.js';
import { environmentHelp, withJson, withPortals, type Json } from './command-options.js';
import { requireSecretKeys } from './require-secret-keys.js';
import { runOnRedisToTheEnd, type OnRedis } from './run-on-redis.js';
import { isFault, subscribePortals, type SubscribeResult } from './subscribe-portals.js';

export interface SubscribeOptions extends Json {
  /** `member_id`s; all portals where there are none. */
  readonly portal: readonly string[];
  readonly timeoutSeconds: number;
}

export function subscribeCommand(host: CommandHost): Command {
  const command = new Command('subscribe').description(
    "Binds the app's events at its portals to PUBLIC_URL + EVENTS_PATH, and registers B24_CONNECTORS. Again is harmless.",
  );
  return withJson(withPortals(command))
    .option(
      '--timeout-seconds <seconds>',
      'how long one portal may take, waiting for its limits included',
      seconds,
      300,
    )
    .addHelpText('after', HELP)
    .action(async (options: SubscribeOptions) => {
      process.exitCode = await subscribe(options, host);
    });
}

const HELP = environmentHelp({
  what: 'PUBLIC_URL, B24_CLIENT_ID and B24_CLIENT_SECRET are needed.',
  exitsWith1: 'a portal could not be set up',
});

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
export async function subscribe(options: SubscribeOptions, host: CommandHost): Promise<number> {
  requireApp(loadConfig(host.env));
  return runOnRedisToTheEnd('subscribe', host, async (parts) => {
    const results = await subscribeAll(options, parts);
    if (options.json) parts.write(JSON.stringify({ portals: results.map(jsonOf) }));
    return results.some(({ outcome }) => isFault(outcome)) ? 1 : 0;
  });
}

async function subscribeAll(options: SubscribeOptions, parts: OnRedis): Promise<readonly SubscribeResult[]> {
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
