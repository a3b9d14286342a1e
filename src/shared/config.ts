import { readFileSync } from 'node:fs';
import { errorCode } from './caught-error.js';
import { CONFIG_FIELDS, type ConfigValues } from './config-fields.js';

/** All that can be set from outside, parsed; the names in the environment stand in `config-fields.ts`. */
export type Config = ConfigValues;

/** Says everything that is wrong with the environment at once; never holds a secret's value. */
export class ConfigError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(
      `the configuration has ${problems.length} problem${problems.length === 1 ? '' : 's'}:\n${problems.join('\n')}`,
    );
    this.name = 'ConfigError';
  }
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
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(CONFIG_FIELDS)) {
    const raw = readVariable(env, field.name, problems);
    if (raw === undefined) {
      values[key] = field.fallback;
      continue;
    }
    const parsed = field.schema.safeParse(raw);
    if (parsed.success) values[key] = parsed.data;
    else
      problems.push(
        `${field.name}: ${parsed.error.issues[0]?.message}${field.secret ? '' : `, got ${JSON.stringify(raw)}`}`,
      );
  }
  problems.push(...contradictions(values, problems));
  if (problems.length > 0) throw new ConfigError(problems);
  return values as unknown as Config;
}

function readVariable(env: NodeJS.ProcessEnv, name: string, problems: string[]): string | undefined {
  const direct = env[name]?.trim();
  const file = env[`${name}_FILE`]?.trim();
  if (!file) return direct || undefined;
  if (direct) {
    problems.push(`${name}: expected either ${name} or ${name}_FILE, got both`);
    return undefined;
  }
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch (error) {
    problems.push(`${name}_FILE: the file cannot be read (${errorCode(error) ?? 'unknown'}): ${file}`);
    return undefined;
  }
}

function contradictions(values: Readonly<Record<string, unknown>>, problems: readonly string[]): string[] {
  const found: string[] = [];
  const secrets = values.forwardSecrets;
  const isSecretTold = problems.some((problem) => problem.startsWith('FORWARD_SECRET'));
  if (values.forwardUrl !== undefined && !isSecretTold && (!Array.isArray(secrets) || secrets.length === 0)) {
    found.push(
      'FORWARD_SECRET: expected a secret (whsec_ and 24 to 64 bytes in base64), because FORWARD_URL is set; got none',
    );
  }
  if ((values.b24ClientId === undefined) !== (values.b24ClientSecret === undefined)) {
    const isTold = problems.some((problem) => problem.startsWith('B24_CLIENT_'));
    if (!isTold) found.push('B24_CLIENT_ID, B24_CLIENT_SECRET: expected both or none, got one of them');
  }
  if (Number(values.effectBackoffMsMax) < Number(values.effectBackoffMs)) {
    found.push('EFFECT_BACKOFF_MS_MAX: expected at least EFFECT_BACKOFF_MS, got less');
  }
  return found;
}
