import type { JsonValue, OpenAuth } from './event.js';
import { wholeNumberOf } from './schema-parts.js';
import { isSecretName } from './secret-names.js';
import { holdsSecret, type IsOpen, type SecretValues, secretValuesOf } from './secret-values.js';

type Fields = Readonly<Record<string, JsonValue>>;

/** `auth` of an event, told apart into what may stand in the open and what must be sealed. */
export interface SplitAuth {
  readonly open: OpenAuth;
  readonly sealed: Fields;
  readonly secretValues: SecretValues;
  /** Whether a value found in `data` is none of its secrets, since it stands in the open of `auth` by right. */
  readonly isOpenValue: IsOpen;
}

// A field stands in the open only if it looks like what it should be; anything else in its place may be a secret.
const PLAUSIBLE: Readonly<Record<string, (value: JsonValue) => boolean>> = {
  member_id: (value) => typeof value === 'string',
  domain: matches(/^[\p{L}\p{N}.:_-]{1,255}$/u),
  scope: matches(/^[\w,.: -]{1,4096}$/),
  status: matches(/^[\w-]{1,32}$/),
  user_id: isNatural,
  expires: isNatural,
  expires_in: isNatural,
  // A path after /rest/ is the code of a webhook, as good as a password; so are a query and a user before the host.
  client_endpoint: matches(/^https?:\/\/[\p{L}\p{N}._-]{1,255}(?::\d{1,5})?\/rest\/?$/iu),
  server_endpoint: matches(/^https?:\/\/[\p{L}\p{N}._-]{1,255}(?::\d{1,5})?\/rest\/?$/iu),
};

/** `auth` in wire form and its member id, which has been checked. */
export function splitAuth(auth: Fields, memberId: string): SplitAuth {
  const names = Object.keys(auth);
  const plausible = names.filter((name) => Object.hasOwn(PLAUSIBLE, name) && PLAUSIBLE[name]?.(auth[name] ?? ''));
  const suspect = pick(auth, (name) => !plausible.includes(name));
  const secretValues = secretValuesOf({ ...suspect, ...endpointParts(suspect) }, (value) => isPlain(value, memberId));
  const isOpen = (name: string): boolean => {
    const value = auth[name];
    if (!plausible.includes(name) || typeof value !== 'string') return false;
    return name === 'member_id' || !holdsSecret(value, secretValues);
  };
  const openFields = pick(auth, isOpen);
  const openValues = new Set<JsonValue>(Object.values(openFields));
  return {
    open: openAuthOf(openFields, memberId),
    sealed: pick(auth, (name) => !isOpen(name)),
    secretValues,
    isOpenValue: (value) => isPlain(value, memberId) || openValues.has(value),
  };
}

/** Of a portal of which nothing more is said. */
export function bareAuth(memberId: string): OpenAuth {
  return {
    memberId,
    domain: null,
    scope: null,
    status: null,
    userId: null,
    clientEndpoint: null,
    serverEndpoint: null,
    expires: null,
    expiresIn: null,
  };
}

function openAuthOf(fields: Fields, memberId: string): OpenAuth {
  const text = (name: string): string | null => {
    const value = fields[name];
    return typeof value === 'string' ? value : null;
  };
  return {
    memberId,
    domain: text('domain'),
    scope: text('scope'),
    status: text('status'),
    userId: wholeNumberOf(fields['user_id']),
    clientEndpoint: text('client_endpoint'),
    serverEndpoint: text('server_endpoint'),
    expires: wholeNumberOf(fields['expires']),
    expiresIn: wholeNumberOf(fields['expires_in']),
  };
}

// The code inside a suspect endpoint is a secret on its own too.
function endpointParts(suspect: Fields): Fields {
  const parts = ['client_endpoint', 'server_endpoint'].flatMap((name) => {
    const value = suspect[name];
    return typeof value === 'string' ? value.split(/[/?&=#:@]+/) : [];
  });
  return { parts: parts.filter((part) => part.length > 0) };
}

// Bitrix24 may add a field any day. If it repeats a host or an id, the endpoints must not be sealed for it.
function isPlain(value: string, memberId: string): boolean {
  return value === memberId || /^\d+$/.test(value) || HOST.test(value);
}

const HOST = /^(?:https?:\/\/)?(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}(?::\d{1,5})?(?:\/(?:rest\/?)?)?$/i;

function pick(fields: Fields, isWanted: (name: string) => boolean): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => isWanted(name)));
}

function matches(pattern: RegExp): (value: JsonValue) => boolean {
  return (value) => typeof value === 'string' && pattern.test(value);
}

function isNatural(value: JsonValue): boolean {
  return (wholeNumberOf(value) ?? -1) >= 0;
}

/** The values of `auth` that are secret by name: none of them may be the portal's id or the event's name. */
export function namedSecretsOf(auth: Fields): SecretValues {
  return secretValuesOf(pick(auth, isSecretName), () => false);
}
