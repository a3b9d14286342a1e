import { ConfigError } from './config.js';
import type { Keys } from './keys.js';
import type { Redis } from './redis.js';
import { redisScript } from './redis-script.js';
import type { SecretKeys } from './secret-keys.js';

/**
 * The id in Redis becomes ours if there is none, or if we can open what that one sealed. Answers the id that stands there then.
 * Where it is ours already nothing is written: a worker must be able to start on a full Redis.
 */
const REGISTER = redisScript(`
local registered = redis.call('GET', KEYS[1])
local mine = ARGV[1]
local known = registered == false
for i = 2, #ARGV do
  if ARGV[i] == registered then known = true end
end
if known then
  redis.call('SET', KEYS[1], mine)
  return mine
end
return registered
`);

/**
 * Processes that seal with different keys could not read each other's events, so the id of the key stands in Redis.
 *
 * @throws {ConfigError} where it is the id of a key that this process does not have.
 */
export async function registerSecretKey(redis: Redis, keys: Keys, secretKeys: SecretKeys): Promise<void> {
  const previous = secretKeys.previous.map((key) => key.id);
  const registered = await REGISTER.run(redis, [keys.secretKeyId], [secretKeys.current.id, ...previous]);
  if (registered === secretKeys.current.id) return;
  throw new ConfigError([
    `SECRET_KEY: expected the key ${String(registered)}, with which the events in Redis are sealed, got the key ${secretKeys.current.id}; ` +
      'give every process the same SECRET_KEY (or the same secret.key in DATA_DIR), and a replaced one as SECRET_KEY_PREVIOUS',
  ]);
}
