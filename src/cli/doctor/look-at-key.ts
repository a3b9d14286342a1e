import { stat } from 'node:fs/promises';
import { errorCode } from '../../shared/caught-error.js';
import type { Config } from '../../shared/config.js';
import type { Keys } from '../../shared/keys.js';
import type { Redis } from '../../shared/redis.js';
import { findSecretKeys, secretKeyFile } from '../../shared/secret-keys.js';
import { fail, ok, warn, type Finding } from './finding.js';
import type { Look } from './look.js';
import { notReached } from './reach-redis.js';

export interface KeyLooksDeps {
  readonly config: Config;
  readonly redis: Redis | undefined;
  readonly keys: Pick<Keys, 'secretKeyId'>;
}

export function keyLooks({ config, redis, keys }: KeyLooksDeps): readonly Look[] {
  const advice = 'give every process the same SECRET_KEY, or the same DATA_DIR/secret.key';
  return [
    { name: 'file', advice, look: () => lookAtFile(config) },
    { name: 'same-as-in-redis', advice, look: () => compare(config, { redis, keys }) },
  ];
}

async function lookAtFile(config: Config): Promise<Finding> {
  const file = secretKeyFile(config);
  if (config.secretKey !== undefined) return ok('file', 'not needed: SECRET_KEY is set');
  const mode = await modeOf(file);
  if (mode === undefined)
    return warn(
      'file',
      `there is no ${file}`,
      'the first process makes it; where some run already, set DATA_DIR to theirs',
    );
  const found = `${file} has mode 0${(mode & 0o777).toString(8)}`;
  if ((mode & 0o007) !== 0) return fail('file', `${found}: every user can read it`, `chmod 600 ${file}`);
  if ((mode & 0o070) !== 0) return warn('file', `${found}: its group can read it`, `chmod 600 ${file}`);
  return ok('file', found);
}

async function compare(config: Config, { redis, keys }: Omit<KeyLooksDeps, 'config'>): Promise<Finding> {
  const name = 'same-as-in-redis';
  if (!redis) return notReached(name);
  const [registered, own] = await Promise.all([redis.get(keys.secretKeyId), findSecretKeys(config)]);
  if (registered === null) return ok(name, 'none is registered there yet');
  if (own === undefined)
    return fail(
      name,
      `events are sealed with the key ${registered}, and there is none here`,
      'set SECRET_KEY, or DATA_DIR',
    );
  if (own.current.id === registered) return ok(name, registered);
  if (own.previous.some(({ id }) => id === registered))
    return warn(name, `the key before this one, ${registered}`, 'restart all processes with the new key');
  return fail(
    name,
    `events are sealed with the key ${registered}, and this one is ${own.current.id}`,
    'give every process the same SECRET_KEY (or secret.key), and the replaced one as SECRET_KEY_PREVIOUS',
  );
}

/** undefined where there is no such file. */
async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
