import { rootCertificates } from 'node:tls';
import { Cluster, type Redis as IORedis } from 'ioredis';
import { errorMessage } from './caught-error.js';
import type { Logger } from './logger.js';
import type { RedisAccess, RedisAddress } from './redis-address.js';
import { RedisClient, type ServerOptions } from './redis-client.js';
import { SentinelClient, SentinelWatch } from './redis-sentinel.js';
import { ShardClient, type ShardOptions } from './redis-shard.js';

/** One server, the master that Sentinels name, or our shard of a cluster: used alike. */
export type Redis = IORedis | Cluster;

const RETRY_MS_MAX = 2000;

function retryDelayMs(times: number): number {
  return Math.min(50 * 2 ** Math.min(times, 6), RETRY_MS_MAX);
}

const COMMON = {
  connectTimeout: 2000,
  keepAlive: 10_000,
  // A replica that was a master answers READONLY after a failover: connect anew, to find the master.
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
} satisfies ServerOptions;

/** What makes a connection hasty or patient, for a server and for a cluster as a whole. */
interface Temper {
  readonly server: ServerOptions;
  readonly cluster: Omit<ShardOptions, 'redisOptions'>;
}

const FAILING_FAST: Temper = {
  server: { maxRetriesPerRequest: 1, enableOfflineQueue: false, commandTimeout: 2000, socketTimeout: 5000 },
  // Each redirection or retry takes at least a tenth of a second, so that a command without a shard ends in about two.
  cluster: { enableOfflineQueue: false, maxRedirections: 16 },
};

const PATIENT: Temper = {
  // Longer than the longest blocking read of BullMQ (10 s): what says nothing for so long is frozen, and another may be the
  // master by now.
  server: { maxRetriesPerRequest: null, socketTimeout: 20_000 },
  cluster: { maxRedirections: Number.MAX_SAFE_INTEGER },
};

/**
 * A connection for one who adds: every command answers or fails within two seconds, Redis down, hung or gone, and it
 * recovers by itself. A command that timed out may have been carried out.
 */
export function connectFailingFast(address: RedisAddress, logger: Logger): Redis {
  return logged(connect(address, FAILING_FAST), address, logger);
}

/**
 * A connection for one who works: commands wait for Redis as long as it takes. Never a `commandTimeout` here: a blocking
 * read that is cut off leaves a worker that says it is running and takes nothing. Only a cluster of which no node is left fails
 * what is under way; whoever works tries it again.
 */
export function connectPatiently(address: RedisAddress, logger: Logger): Redis {
  return logged(connect(address, PATIENT), address, logger);
}

/** Another connection of the same kind. */
export function duplicateOf(redis: Redis): Redis {
  return redis instanceof Cluster ? redis.duplicate() : redis.duplicate();
}

/** Calls back when what follows is perhaps answered by another server than what was before. */
export function onRedisLost(redis: Redis, listener: () => void): void {
  redis.on(redis instanceof Cluster ? 'shardLost' : 'close', listener);
}

/** Calls back when a patient connection leads to a server that may have forgotten something. Gives the way to stop that. */
export function onRedisBack(redis: Redis, listener: () => void): () => void {
  const events = redis instanceof Cluster ? ['ready', 'shardLost'] : ['ready'];
  for (const event of events) redis.on(event, listener);
  return () => {
    for (const event of events) redis.off(event, listener);
  };
}

function connect(address: RedisAddress, temper: Temper): Redis {
  const server = { ...COMMON, ...temper.server, ...accessOptions(address.access) };
  switch (address.kind) {
    case 'single':
      return new RedisClient({ ...server, ...address.node, retryStrategy: retryDelayMs });
    case 'sentinel':
      return connectBySentinels(address, server);
    case 'cluster':
      return new ShardClient(address.prefix, address.nodes, {
        ...temper.cluster,
        redisOptions: server,
        clusterRetryStrategy: retryDelayMs,
        slotsRefreshTimeout: 2000,
        // Finds the new master where the old one is frozen and answers nothing, not even that it is another one.
        slotsRefreshInterval: 5000,
        retryDelayOnMoved: 50,
        // A certificate is of a name, and is checked against what is connected to.
        dnsLookup: (host, callback) => callback(null, host),
      });
    default:
      return address satisfies never;
  }
}

type SentinelAddress = Extract<RedisAddress, { kind: 'sentinel' }>;

function connectBySentinels(address: SentinelAddress, server: ServerOptions): Redis {
  const { sentinels, name, password } = address;
  const { tls } = server;
  const options = { ...COMMON, ...sentinelAccess(address), retryStrategy: retryDelayMs, maxRetriesPerRequest: null };
  return new SentinelClient(
    {
      ...server,
      sentinels: sentinels.map(({ host, port }) => ({ host, port })),
      name,
      sentinelCommandTimeout: 2000,
      sentinelRetryStrategy: retryDelayMs,
      retryStrategy: retryDelayMs,
      ...(password !== undefined && { sentinelPassword: password }),
      ...(tls && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
    },
    new SentinelWatch({ sentinels, name, options }),
  );
}

function sentinelAccess({ password, access }: SentinelAddress): ServerOptions {
  const { tls } = accessOptions(access);
  return { ...(password !== undefined && { password }), ...(tls && { tls }) };
}

function accessOptions({ username, password, db, family, tls }: RedisAccess): ServerOptions {
  return {
    db,
    family,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: tls.ca === undefined ? {} : { ca: [...rootCertificates, tls.ca] } }),
  };
}

/** Says when the connection is lost and when it is back, once each, not at every attempt in between. */
function logged(redis: Redis, address: RedisAddress, logger: Logger): Redis {
  let lost = false;
  const tellLost = async (error: Error): Promise<void> => {
    const reason = await redisTroubleInWords(address, error);
    if (lost) logger.warn({ event: 'redis.lost', reason }, 'Redis does not answer; trying again until it does');
  };
  redis.on('error', (error: Error) => {
    if (lost) return;
    lost = true;
    void tellLost(error);
  });
  redis.on('ready', () => {
    if (lost) logger.info({ event: 'redis.back' }, 'Redis answers again');
    lost = false;
  });
  return redis;
}

/**
 * Why Redis does not answer. Of a Sentinel or a node that cannot be reached ioredis says no more than that its connection was
 * closed, so it is asked once more: it may be the name, the port, the certificate.
 */
export async function redisTroubleInWords(address: RedisAddress, error: unknown): Promise<string> {
  const said = errorMessage(lastNodeErrorOf(error) ?? error);
  if (address.kind === 'single' || !said.includes('Connection is closed')) return said;
  const [first] = address.kind === 'cluster' ? address.nodes : address.sentinels;
  const options = address.kind === 'cluster' ? accessOptions(address.access) : sentinelAccess(address);
  return (first && (await troubleWith({ ...COMMON, ...options, ...first }))) ?? said;
}

async function troubleWith(options: ServerOptions): Promise<string | undefined> {
  const redis = new RedisClient({ ...options, lazyConnect: true, retryStrategy: () => null });
  let trouble: string | undefined;
  redis.on('error', ({ message }: Error) => (trouble ??= message));
  // It ends by itself: the time to connect is limited, and so is the one attempt.
  await redis.connect().catch(() => undefined);
  redis.disconnect();
  return trouble;
}

/** Of a cluster no node of which answers, what the last one said. */
function lastNodeErrorOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'lastNodeError' in error ? error.lastNodeError : undefined;
}
