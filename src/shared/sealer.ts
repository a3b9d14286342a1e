import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { SecretKey, SecretKeys } from './secret-keys.js';

/**
 * Seals small texts with AES-256-GCM (NIST SP 800-38D).
 *
 * Each process seals with a subkey of its own (HKDF, RFC 5869, over a random salt) and counts its nonces, because nonces drawn at
 * random wear out after some 2^32 seals under one key. The salt stands in the seal, so that any process with the key can open it:
 *
 *     s1 . key id . salt . nonce . ciphertext and tag         each part in base64url
 *
 * `context` (the delivery and its portal) is authenticated with it: a seal that is moved to another record does not open.
 */
export interface Sealer {
  seal(plain: string, context: string): string;
  open(seal: string, context: string): Opened;
  /** Whether it was made with the key that seals now, and not with an earlier one. */
  isCurrent(seal: string): boolean;
}

export type Opened =
  | { readonly status: 'opened'; readonly plain: string }
  /** Made with a key that this process does not have, perhaps not yet. */
  | { readonly status: 'key-unknown'; readonly keyId: string }
  /** Not a seal, altered, or moved from its place. */
  | { readonly status: 'broken' };

const VERSION = 's1';
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Subkeys of other processes that are kept; each costs some hundred bytes, and 20 µs to derive anew. */
const SUBKEYS_MAX = 1000;

export function createSealer(keys: SecretKeys): Sealer {
  const byId = new Map([...keys.previous, keys.current].map((key) => [key.id, key]));
  const subkeys = new Map<string, Buffer>();
  const ownSalt = randomBytes(SALT_BYTES);
  const ownSubkey = deriveSubkey(keys.current, ownSalt);
  const prefix = [VERSION, keys.current.id, ownSalt.toString('base64url')].join('.');
  let sealed = 0n;

  return {
    seal(plain, context) {
      const nonce = Buffer.alloc(NONCE_BYTES);
      nonce.writeBigUInt64BE(sealed++, NONCE_BYTES - 8);
      const cipher = createCipheriv('aes-256-gcm', ownSubkey, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(Buffer.from(context, 'utf8'));
      const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return `${prefix}.${nonce.toString('base64url')}.${body.toString('base64url')}`;
    },
    open(seal, context) {
      const [version, keyId = '', salt = '', nonce = '', body = '', ...rest] = seal.split('.');
      if (version !== VERSION || rest.length > 0) return { status: 'broken' };
      const key = byId.get(keyId);
      if (!key) return { status: 'key-unknown', keyId };
      return decrypt({ subkey: subkeyFor(key, salt), nonce, body, context });
    },
    isCurrent: (seal) => seal.startsWith(`${VERSION}.${keys.current.id}.`),
  };

  function subkeyFor(key: SecretKey, salt: string): Buffer {
    const name = `${key.id}.${salt}`;
    const known = subkeys.get(name);
    if (known) return known;
    const derived = deriveSubkey(key, Buffer.from(salt, 'base64url'));
    const oldest = subkeys.size >= SUBKEYS_MAX ? subkeys.keys().next().value : undefined;
    if (oldest !== undefined) subkeys.delete(oldest);
    subkeys.set(name, derived);
    return derived;
  }
}

function deriveSubkey(key: SecretKey, salt: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', key.bytes, salt, 'b24-events seal', 32));
}

function decrypt(parts: { subkey: Buffer; nonce: string; body: string; context: string }): Opened {
  const nonce = Buffer.from(parts.nonce, 'base64url');
  const body = Buffer.from(parts.body, 'base64url');
  if (nonce.length !== NONCE_BYTES || body.length < TAG_BYTES) return { status: 'broken' };
  try {
    const decipher = createDecipheriv('aes-256-gcm', parts.subkey, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(parts.context, 'utf8'));
    decipher.setAuthTag(body.subarray(-TAG_BYTES));
    const plain = Buffer.concat([decipher.update(body.subarray(0, -TAG_BYTES)), decipher.final()]);
    return { status: 'opened', plain: plain.toString('utf8') };
  } catch {
    // final() throws where the tag does not fit: the one way in which GCM says that something was altered.
    return { status: 'broken' };
  }
}
