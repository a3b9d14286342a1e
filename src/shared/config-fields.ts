import { z } from 'zod';
import { CONNECTORS_WANTED, parseConnectors, type ConnectorDefinition } from './connector-definition.js';
import { parseHostEntry, type HostEntry } from './host-entry.js';
import { isNetwork } from './network.js';
import { parseRedisNode, type RedisNode } from './redis-node.js';

/** One variable: its name outside, what it may hold, what it is when unset. `secret` keeps its value out of messages. */
interface Field<Value> {
  readonly name: string;
  readonly schema: z.ZodType<Value, string>;
  readonly fallback: Value;
  readonly secret: boolean;
}

/** The whole table; the key is the name within the program. */
export const CONFIG_FIELDS = {
  redisUrl: secret(optional('REDIS_URL', redisUrl())),
  redisSentinels: field('REDIS_SENTINELS', list(redisNode()), []),
  redisSentinelName: optional('REDIS_SENTINEL_NAME', text()),
  redisSentinelPassword: secret(optional('REDIS_SENTINEL_PASSWORD', text())),
  redisClusterNodes: field('REDIS_CLUSTER_NODES', list(redisNode()), []),
  redisTlsCa: optional('REDIS_TLS_CA', certificates()),
  queuePrefix: field(
    'QUEUE_PREFIX',
    pattern(/^\{[A-Za-z0-9_.-]{1,64}\}$/, 'letters, digits, _ . - in braces, such as {b24}'),
    '{b24}',
  ),
  apiHost: field('API_HOST', text(), '0.0.0.0'),
  apiPort: field('API_PORT', integer(0, 65_535), 3000),
  apiProcesses: field('API_PROCESSES', integer(1, 64), 1),
  eventsPath: field(
    'EVENTS_PATH',
    pattern(
      /^(?!\/(?:install|connector|connector\/switch|incoming)$)(\/[A-Za-z0-9_.~-]+)+$/,
      'a path such as /events or /events/9f3c, other than /install, /connector, /connector/switch and /incoming',
    ),
    '/events',
  ),
  senderIps: field('SENDER_IPS', list(sender()), []),
  trustProxy: field('TRUST_PROXY', integer(0, 16), 0),
  opsHost: field('OPS_HOST', text(), '127.0.0.1'),
  apiOpsPort: field('API_OPS_PORT', integer(0, 65_535), 9464),
  workerOpsPort: field('WORKER_OPS_PORT', integer(0, 65_535), 9465),
  dataDir: field('DATA_DIR', text(), './data'),
  secretKey: secret(optional('SECRET_KEY', key())),
  secretKeyPrevious: secret(field('SECRET_KEY_PREVIOUS', list(key()), [])),
  applicationTokens: secret(field('APPLICATION_TOKENS', applicationTokens(), new Map<string, readonly string[]>())),
  bodyBytesMax: field('BODY_BYTES_MAX', integer(1024, 64 * 1024 * 1024), 1_048_576),
  bodyDepthMax: field('BODY_DEPTH_MAX', integer(1, 64), 16),
  bodyParametersMax: field('BODY_PARAMETERS_MAX', integer(1, 1_000_000), 10_000),
  diskFreeBytesMin: field('DISK_FREE_BYTES_MIN', integer(0), 1_073_741_824),
  journalBytesMax: field('JOURNAL_BYTES_MAX', integer(1_048_576), 10_737_418_240),
  dedupWindowSeconds: field('DEDUP_WINDOW_SECONDS', integer(3600, 31_536_000), 86_400),
  dedupBy: field('DEDUP_BY', choice(['content', 'handler-ts']), 'content'),
  deliveryConcurrency: field('DELIVERY_CONCURRENCY', integer(1, 10_000), 200),
  effectConcurrency: field('EFFECT_CONCURRENCY', integer(1, 10_000), 100),
  unknownPortalWaitSeconds: field('UNKNOWN_PORTAL_WAIT_SECONDS', integer(0, 604_800), 900),
  effectAttempts: field('EFFECT_ATTEMPTS', integer(1, 1000), 30),
  effectBackoffMs: field('EFFECT_BACKOFF_MS', integer(1, 86_400_000), 5000),
  effectBackoffMsMax: field('EFFECT_BACKOFF_MS_MAX', integer(1, 604_800_000), 21_600_000),
  effectAgeSecondsMax: field('EFFECT_AGE_SECONDS_MAX', integer(1, 31_536_000), 604_800),
  effectTimeoutMs: field('EFFECT_TIMEOUT_MS', integer(10, 3_600_000), 30_000),
  forwardUrl: secret(optional('FORWARD_URL', webhookUrl())),
  forwardSecrets: secret(field('FORWARD_SECRET', list(webhookSecret()), [])),
  forwardEvents: field('FORWARD_EVENTS', list(eventPattern()), []),
  publicUrl: optional('PUBLIC_URL', publicUrl()),
  b24ClientId: optional(
    'B24_CLIENT_ID',
    pattern(/^[A-Za-z0-9_.-]{1,128}$/, 'the client id of the app, such as local.573ad8a0346747.09223434'),
  ),
  b24ClientSecret: secret(optional('B24_CLIENT_SECRET', text())),
  b24PortalHosts: field('B24_PORTAL_HOSTS', list(hostEntry()), []),
  b24OauthHosts: field('B24_OAUTH_HOSTS', list(hostEntry()), []),
  b24Events: field('B24_EVENTS', list(eventName()), []),
  b24Connectors: field('B24_CONNECTORS', connectors(), []),
  handlersDir: optional('HANDLERS_DIR', text()),
  incomingSecrets: secret(field('INCOMING_SECRET', list(webhookSecret()), [])),
  keepCompletedSeconds: field('KEEP_COMPLETED_SECONDS', integer(0, 31_536_000), 3600),
  keepFailedSeconds: field('KEEP_FAILED_SECONDS', integer(3600, 31_536_000), 1_209_600),
  alertUrl: secret(optional('ALERT_URL', webhookUrl())),
  alertSecrets: secret(field('ALERT_SECRET', list(webhookSecret()), [])),
  otlpEndpoint: optional('OTEL_EXPORTER_OTLP_ENDPOINT', publicUrl()),
  tracesShare: field('OTEL_TRACES_SAMPLER_ARG', share(), 1),
  logLevel: field('LOG_LEVEL', choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']), 'info'),
} as const;

export type ConfigValues = { readonly [Key in keyof typeof CONFIG_FIELDS]: (typeof CONFIG_FIELDS)[Key]['fallback'] };

function field<Value>(name: string, schema: z.ZodType<Value, string>, fallback: NoInfer<Value>): Field<Value> {
  return { name, schema, fallback, secret: false };
}

function optional<Value>(name: string, schema: z.ZodType<Value, string>): Field<Value | undefined> {
  return { name, schema, fallback: undefined, secret: false };
}

function secret<Value>(open: Field<Value>): Field<Value> {
  return { ...open, secret: true };
}

/** A schema from a function that gives the value, or undefined where the text is not what `wanted` says. */
function parsed<Value>(wanted: string, parse: (text: string) => Value | undefined): z.ZodType<Value, string> {
  return z.string().transform((value, context) => {
    const result = parse(value);
    if (result !== undefined) return result;
    context.addIssue({ code: 'custom', message: `expected ${wanted}` });
    return z.NEVER;
  });
}

function text(): z.ZodType<string, string> {
  return parsed('a text', (value) => value);
}

function pattern(regex: RegExp, wanted: string): z.ZodType<string, string> {
  return parsed(wanted, (value) => (regex.test(value) ? value : undefined));
}

function integer(min: number, max = Number.MAX_SAFE_INTEGER): z.ZodType<number, string> {
  const range = max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`;
  return parsed(range, (value) => {
    const number = /^\d{1,16}$/.test(value) ? Number(value) : -1;
    return number >= min && number <= max ? number : undefined;
  });
}

function share(): z.ZodType<number, string> {
  return parsed('a share from 0 to 1', (value) =>
    /^(?:0(?:\.\d{1,9})?|1(?:\.0{1,9})?)$/.test(value) ? Number(value) : undefined,
  );
}

function choice<const Value extends string>(values: readonly Value[]): z.ZodType<Value, string> {
  return parsed(`one of ${values.join(', ')}`, (value) => values.find((known) => known === value));
}

/** Comma or white space between the items. */
function list<Value>(item: z.ZodType<Value, string>): z.ZodType<readonly Value[], string> {
  return z.string().transform((value, context) => {
    const items: Value[] = [];
    for (const part of value.split(/[\s,]+/).filter(Boolean)) {
      const result = item.safeParse(part);
      if (result.success) items.push(result.data);
      else
        context.addIssue({ code: 'custom', message: `${result.error.issues[0]?.message} for each item of the list` });
    }
    return items;
  });
}

function url(value: string): URL | undefined {
  return URL.canParse(value) ? new URL(value) : undefined;
}

function redisUrl(): z.ZodType<string, string> {
  return parsed('an address that begins with redis:// or rediss://', (value) => {
    const protocol = url(value)?.protocol;
    return protocol === 'redis:' || protocol === 'rediss:' ? value : undefined;
  });
}

function redisNode(): z.ZodType<RedisNode, string> {
  return parsed('host:port', parseRedisNode);
}

function certificates(): z.ZodType<string, string> {
  return parsed('certificates in PEM', (value) =>
    value.startsWith('-----BEGIN CERTIFICATE-----') ? value : undefined,
  );
}

function webhookUrl(): z.ZodType<string, string> {
  return parsed('an address that begins with http:// or https://, without user, password or fragment', (value) => {
    const address = url(value);
    if (!address || !/^https?:$/.test(address.protocol)) return undefined;
    return address.username || address.password || address.hash ? undefined : address.href;
  });
}

function key(): z.ZodType<Buffer, string> {
  return parsed('32 bytes in base64', (value) => {
    const bytes = Buffer.from(value, 'base64');
    return /^[A-Za-z0-9+/_-]{43}=?$/.test(value) && bytes.length === 32 ? bytes : undefined;
  });
}

/** https://www.standardwebhooks.com: `whsec_` and the key in base64, 24 to 64 bytes. */
function webhookSecret(): z.ZodType<string, string> {
  return parsed('whsec_ and 24 to 64 bytes in base64', (value) => {
    const bytes = Buffer.from(value.slice('whsec_'.length), 'base64');
    return /^whsec_[A-Za-z0-9+/]+={0,2}$/.test(value) && bytes.length >= 24 && bytes.length <= 64 ? value : undefined;
  });
}

function eventPattern(): z.ZodType<string, string> {
  return parsed('an event name, in which * stands for any letters', (value) =>
    /^[A-Za-z0-9_.:*-]{1,128}$/.test(value) ? value.toUpperCase() : undefined,
  );
}

function eventName(): z.ZodType<string, string> {
  return parsed('an event name', (value) => (/^[A-Za-z0-9_.:-]{1,128}$/.test(value) ? value.toUpperCase() : undefined));
}

/** Without a slash at its end, so that a path can be put behind it. */
function publicUrl(): z.ZodType<string, string> {
  return parsed('an address that begins with https:// or http://, without user, query or fragment', (value) => {
    const address = url(value);
    if (!address || !/^https?:$/.test(address.protocol)) return undefined;
    if (address.username || address.password || address.search || address.hash) return undefined;
    return address.href.replace(/\/+$/, '');
  });
}

function hostEntry(): z.ZodType<HostEntry, string> {
  return parsed('a host, host:port, or http://host:port', parseHostEntry);
}

function connectors(): z.ZodType<readonly ConnectorDefinition[], string> {
  return parsed(CONNECTORS_WANTED, parseConnectors);
}

function sender(): z.ZodType<string, string> {
  return parsed('an address, a network such as 10.0.0.0/8, or bitrix24', (value) => {
    if (value.toLowerCase() === 'bitrix24') return 'bitrix24';
    return isNetwork(value) ? value : undefined;
  });
}

/** `member_id=token,…`, several of a portal as `a|b`, `*` for portals without an entry of their own. */
function applicationTokens(): z.ZodType<ReadonlyMap<string, readonly string[]>, string> {
  return parsed('member_id=token, several of them separated by commas, several tokens of one portal by |', (value) => {
    const tokens = new Map<string, readonly string[]>();
    for (const entry of value
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean)) {
      const split = /^([A-Za-z0-9_.-]{1,64}|\*)=(.+)$/.exec(entry);
      const values = split?.[2]?.split('|').map((token) => token.trim());
      if (!split?.[1] || !values || values.some((token) => token === '')) return undefined;
      tokens.set(split[1], [...(tokens.get(split[1]) ?? []), ...values]);
    }
    return tokens;
  });
}
