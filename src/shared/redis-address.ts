import type { Config } from './config.js';
import type { RedisNode } from './redis-node.js';

/** For processes that are started by hand; `npm start` finds or starts a Redis of its own. */
export const DEFAULT_REDIS_URL = 'redis://127.0.0.1:6379';

/** Where Redis is: one server; the master that Sentinels know by a name; or the shard of a cluster that holds the prefix. */
export type RedisAddress =
  | { readonly kind: 'single'; readonly node: RedisNode; readonly access: RedisAccess }
  | {
      readonly kind: 'sentinel';
      readonly sentinels: readonly RedisNode[];
      readonly name: string;
      /** Of the Sentinels; that of the servers is in `access`. */
      readonly password: string | undefined;
      readonly access: RedisAccess;
    }
  | {
      readonly kind: 'cluster';
      readonly nodes: readonly RedisNode[];
      /** Its hash tag puts every key of ours into one slot. */
      readonly prefix: string;
      readonly access: RedisAccess;
    };

/** How a server is spoken to, however it is found. */
export interface RedisAccess {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  /** 4 or 6 where REDIS_URL asks for one of them (`?family=6`). */
  readonly family: number;
  readonly tls: RedisTls | undefined;
}

export interface RedisTls {
  /** Certificates in PEM that are trusted beside those that Node knows. */
  readonly ca: string | undefined;
}

export type RedisSettings = Pick<
  Config,
  | 'redisUrl'
  | 'redisSentinels'
  | 'redisSentinelName'
  | 'redisSentinelPassword'
  | 'redisClusterNodes'
  | 'redisTlsCa'
  | 'queuePrefix'
>;

/** Whether the user has a Redis of his own. */
export function isRedisGiven(config: Pick<Config, 'redisUrl' | 'redisSentinels' | 'redisClusterNodes'>): boolean {
  return config.redisUrl !== undefined || config.redisSentinels.length > 0 || config.redisClusterNodes.length > 0;
}

/** With Sentinels or a cluster REDIS_URL tells the access alone; its host is not looked at. */
export function redisAddressOf(config: RedisSettings): RedisAddress {
  const { redisUrl, redisSentinels: sentinels, redisSentinelName: name, redisClusterNodes: nodes } = config;
  const single = singleRedis(redisUrl ?? DEFAULT_REDIS_URL, config.redisTlsCa);
  const { access } = single;
  if (nodes.length > 0) return { kind: 'cluster', nodes, prefix: config.queuePrefix, access };
  if (sentinels.length === 0 || name === undefined) return single;
  return { kind: 'sentinel', sentinels, name, password: config.redisSentinelPassword, access };
}

/** One server at an address such as `rediss://user:password@host:6379/1`. */
export function singleRedis(address: string, ca?: string): Extract<RedisAddress, { kind: 'single' }> {
  const url = new URL(address);
  const { searchParams: query } = url;
  const access = {
    username: decodeURIComponent(url.username) || undefined,
    password: decodeURIComponent(url.password) || undefined,
    db: Number(url.pathname.slice(1) || query.get('db') || 0),
    family: Number(query.get('family') ?? 0),
    tls: url.protocol === 'rediss:' ? { ca } : undefined,
  };
  const host = url.hostname.replaceAll(/[[\]]/g, '') || '127.0.0.1';
  return { kind: 'single', node: { host, port: Number(url.port || 6379) }, access };
}

/** For people; without user and password. */
export function redisInWords(address: RedisAddress): string {
  const scheme = address.access.tls ? 'rediss' : 'redis';
  switch (address.kind) {
    case 'single':
      return `${scheme}://${hostAndPort(address.node)}`;
    case 'sentinel':
      return `${scheme}: the master "${address.name}" of the Sentinels ${address.sentinels.map(hostAndPort).join(', ')}`;
    case 'cluster':
      return `${scheme}: the cluster of ${address.nodes.map(hostAndPort).join(', ')}`;
    default:
      return address satisfies never;
  }
}

/** The variable that a person should look at when nothing answers there. */
export function redisVariableOf(address: RedisAddress): string {
  switch (address.kind) {
    case 'single':
      return 'REDIS_URL';
    case 'sentinel':
      return 'REDIS_SENTINELS';
    case 'cluster':
      return 'REDIS_CLUSTER_NODES';
    default:
      return address satisfies never;
  }
}

function hostAndPort({ host, port }: RedisNode): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
