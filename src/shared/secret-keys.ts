import { hkdfSync, randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError, type Config } from './config.js';
import { errorCode } from './caught-error.js';

/** A key that seals secrets, with the id by which a seal names it. The id tells nothing of the key. */
export interface SecretKey {
  readonly id: string;
  readonly bytes: Buffer;
}

/** `current` seals; `current` and `previous` open. */
export interface SecretKeys {
  readonly current: SecretKey;
  readonly previous: readonly SecretKey[];
}

type KeyConfig = Pick<Config, 'secretKey' | 'secretKeyPrevious' | 'dataDir'>;

/** The keys of SECRET_KEY and SECRET_KEY_PREVIOUS, or the one of the file `secret.key` in DATA_DIR, which is made where it is missing. */
export async function loadSecretKeys(config: KeyConfig): Promise<SecretKeys> {
  return keysOf(config.secretKey ?? (await readOrMakeKeyFile(config)), config);
}

/** The same for a command, which makes none: it would open nothing with it. undefined where there is none. */
export async function findSecretKeys(config: KeyConfig): Promise<SecretKeys | undefined> {
  const current = config.secretKey ?? (await readKeyFile(secretKeyFile(config)));
  return current && keysOf(current, config);
}

export function secretKeyFile({ dataDir }: Pick<Config, 'dataDir'>): string {
  return join(dataDir, 'secret.key');
}

function keysOf(current: Buffer, { secretKeyPrevious }: Pick<Config, 'secretKeyPrevious'>): SecretKeys {
  return { current: toSecretKey(current), previous: secretKeyPrevious.map(toSecretKey) };
}

export function toSecretKey(bytes: Buffer): SecretKey {
  const id = Buffer.from(hkdfSync('sha256', bytes, '', 'b24-events key id', 6)).toString('base64url');
  return { id, bytes };
}

async function readOrMakeKeyFile(config: KeyConfig): Promise<Buffer> {
  const path = secretKeyFile(config);
  const existing = await readKeyFile(path);
  if (existing) return existing;
  await mkdir(config.dataDir, { recursive: true });
  // Written whole beside its place and linked into it: of several processes that start at once one wins, and none reads half a key.
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(`${randomBytes(32).toString('base64')}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await link(draft, path).catch((error: unknown) => {
    if (errorCode(error) !== 'EEXIST') throw error;
  });
  await unlink(draft);
  const made = await readKeyFile(path);
  if (!made) throw new ConfigError([`DATA_DIR: the key file ${path} vanished while it was made`]);
  return made;
}

async function readKeyFile(path: string): Promise<Buffer | undefined> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new ConfigError([`DATA_DIR: the key file ${path} cannot be read (${errorCode(error) ?? 'unknown'})`]);
  });
  if (text === undefined) return undefined;
  const bytes = Buffer.from(text.trim(), 'base64');
  if (bytes.length !== 32)
    throw new ConfigError([`DATA_DIR: expected 32 bytes in base64 in the key file ${path}, got ${bytes.length} bytes`]);
  return bytes;
}
