import { ConfigError, type Config } from '../shared/config.js';
import { findSecretKeys, secretKeyFile, type SecretKeys } from '../shared/secret-keys.js';

/** @throws {ConfigError} where there are none. */
export async function requireSecretKeys(config: Config): Promise<SecretKeys> {
  const keys = await findSecretKeys(config);
  if (keys) return keys;
  const wanted = `the key of the other processes, or their DATA_DIR with it in ${secretKeyFile(config)}`;
  throw new ConfigError([`SECRET_KEY: expected ${wanted}`]);
}
