import { readFileSync } from 'node:fs';
import { errorCode } from './caught-error.js';
import { CONFIG_FIELDS, type ConfigValues } from './config-fields.js';
import { singleRedis } from './redis-address.js';

/** All that can be set from outside, parsed; the names in the environment stand in `config-fields.ts`. */
export type Config = ConfigValues;

/** The exit code where it is wrong (sysexits.h: EX_CONFIG). */
export const EXIT_CONFIG = 78;

/** Says everything that is wrong with the environment at once; never holds a secret's value. */
export class ConfigError extends Error {
  constructor(
    readonly problems: readonly string[],
    /** Without which there would be none of them; by their names without `_FILE`. */
    readonly variables: readonly string[] = [],
  ) {
    super(
      `the configuration has ${problems.length} problem${problems.length === 1 ? '' : 's'}:\n${problems.join('\n')}`,
    );
    this.name = 'ConfigError';
  }
}

interface Problem {
  readonly variables: readonly string[];
  readonly text: string;
}

/** The process's environment: the one place in which it is read. */
export function environment(): NodeJS.ProcessEnv {
  // oxlint-disable-next-line node/no-process-env -- the only reader; all else takes a Config
  return process.env;
}

/**
 * Parses the environment, for every process alike. `NAME_FILE` reads `NAME` from a file, as secrets are mounted.
 * An empty variable counts as unset.
 *
 * @throws {ConfigError} with a line for each problem, by the name of its variable.
 */
export function loadConfig(env: NodeJS.ProcessEnv): Config {
  const problems: Problem[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(CONFIG_FIELDS)) {
    const raw = readVariable(env, field.name, problems);
    if (raw === undefined) {
      values[key] = field.fallback;
      continue;
    }
    const parsed = field.schema.safeParse(raw);
    if (parsed.success) values[key] = parsed.data;
    else {
      const got = field.secret ? '' : `, got ${JSON.stringify(raw)}`;
      problems.push(problem([field.name], `${field.name}: ${parsed.error.issues[0]?.message}${got}`));
    }
  }
  problems.push(...contradictions(values, problems));
  if (problems.length > 0) {
    const variables = problems.flatMap((each) => each.variables);
    throw new ConfigError(
      problems.map(({ text }) => text),
      variables,
    );
  }
  return values as unknown as Config;
}

/** Whether somebody chose its value, though it be the default. */
export function isGiven(env: NodeJS.ProcessEnv, key: keyof Config): boolean {
  return readVariable(env, CONFIG_FIELDS[key].name, []) !== undefined;
}

function problem(variables: readonly string[], text: string): Problem {
  return { variables, text };
}

function readVariable(env: NodeJS.ProcessEnv, name: string, problems: Problem[]): string | undefined {
  const direct = env[name]?.trim();
  const file = env[`${name}_FILE`]?.trim();
  if (!file) return direct || undefined;
  if (direct) {
    problems.push(problem([name], `${name}: expected either ${name} or ${name}_FILE, got both`));
    return undefined;
  }
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch (error) {
    const reason = errorCode(error) ?? 'unknown';
    problems.push(problem([name], `${name}_FILE: the file cannot be read (${reason}): ${file}`));
    return undefined;
  }
}

function contradictions(values: Readonly<Record<string, unknown>>, told: readonly Problem[]): Problem[] {
  const { b24ClientId, b24ClientSecret, effectBackoffMs, effectBackoffMsMax } = values;
  const found = [...secretContradictions(values, told), ...redisContradictions(values, told)];
  if ((b24ClientId === undefined) !== (b24ClientSecret === undefined) && !isTold(told, /^B24_CLIENT_/))
    found.push(contradiction(['B24_CLIENT_ID', 'B24_CLIENT_SECRET'], 'expected both or none, got one of them'));
  if (Number(effectBackoffMsMax) < Number(effectBackoffMs)) {
    const text = 'EFFECT_BACKOFF_MS_MAX: expected at least EFFECT_BACKOFF_MS, got less';
    found.push(problem(['EFFECT_BACKOFF_MS_MAX', 'EFFECT_BACKOFF_MS'], text));
  }
  return found;
}

/** What is sent is signed. */
function secretContradictions(values: Readonly<Record<string, unknown>>, told: readonly Problem[]): Problem[] {
  const { forwardUrl, forwardSecrets, alertUrl, alertSecrets } = values;
  return [
    ...(forwardUrl === undefined || isFilled(forwardSecrets) || isTold(told, /^FORWARD_SECRET$/)
      ? []
      : [missingSecret('FORWARD_SECRET', 'FORWARD_URL')]),
    ...(alertUrl === undefined || isFilled(alertSecrets) || isTold(told, /^ALERT_SECRET$/)
      ? []
      : [missingSecret('ALERT_SECRET', 'ALERT_URL')]),
  ];
}

function missingSecret(secret: string, url: string): Problem {
  const text = `${secret}: expected a secret (whsec_ and 24 to 64 bytes in base64), because ${url} is set; got none`;
  return problem([secret, url], text);
}

function redisContradictions(values: Readonly<Record<string, unknown>>, told: readonly Problem[]): Problem[] {
  if (isTold(told, /^REDIS_(?:SENTINEL|CLUSTER)/)) return [];
  const { redisSentinels: sentinels, redisSentinelName: name, redisClusterNodes: nodes } = values;
  const found: Problem[] = [];
  if (isFilled(sentinels) !== (name !== undefined))
    found.push(contradiction(['REDIS_SENTINELS', 'REDIS_SENTINEL_NAME'], 'expected both or none, got one of them'));
  if (isFilled(sentinels) && isFilled(nodes))
    found.push(contradiction(['REDIS_SENTINELS', 'REDIS_CLUSTER_NODES'], 'expected one of them, got both'));
  if (isFilled(nodes) && hasDatabase(values.redisUrl)) {
    const text = 'REDIS_URL: expected no database, because a cluster (REDIS_CLUSTER_NODES) has only one; got one';
    found.push(problem(['REDIS_URL', 'REDIS_CLUSTER_NODES'], text));
  }
  return found;
}

function contradiction(variables: readonly string[], text: string): Problem {
  return problem(variables, `${variables.join(', ')}: ${text}`);
}

function isTold(problems: readonly Problem[], pattern: RegExp): boolean {
  return problems.some(({ variables }) => variables.some((name) => pattern.test(name)));
}

function hasDatabase(redisUrl: unknown): boolean {
  return typeof redisUrl === 'string' && singleRedis(redisUrl).access.db !== 0;
}

function isFilled(list: unknown): boolean {
  return Array.isArray(list) && list.length > 0;
}
