/** One server of REDIS_SENTINELS or REDIS_CLUSTER_NODES. */
export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, an IPv6 address in brackets; undefined for anything else. */
export function parseRedisNode(text: string): RedisNode | undefined {
  const [, host, digits] = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+):(\d{1,5})$/i.exec(text) ?? [];
  const port = Number(digits);
  if (host === undefined || port < 1 || port > 65_535) return undefined;
  return { host: host.replaceAll(/[[\]]/g, ''), port };
}
