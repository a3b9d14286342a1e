import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'ioredis';
import { findFreePort } from '../../src/cli/free-port.js';
import { startRedisServer, withRedisAt, type TestRedis } from './redis-server.js';
import { waitUntil } from './wait-until.js';

/** The first and the last slot of each master. */
const RANGES = [
  [0, 5460],
  [5461, 10_922],
  [10_923, 16_383],
] as const;
const NODE_TIMEOUT_MS = 1000;

/** Three masters with a replica each; a master that is gone is replaced after about two seconds. */
export class TestCluster {
  private constructor(
    /** The masters first, in the order of their slots, then the replica of each. */
    readonly servers: readonly TestRedis[],
    private readonly busPorts: readonly number[],
  ) {}

  static async start(): Promise<TestCluster> {
    const servers: TestRedis[] = [];
    const busPorts: number[] = [];
    for (let i = 0; i < 2 * RANGES.length; i += 1) {
      const busPort = await findFreePort();
      const cluster = { 'cluster-enabled': 'yes', 'cluster-node-timeout': String(NODE_TIMEOUT_MS) };
      const settings = { ...cluster, 'cluster-port': String(busPort), 'repl-diskless-sync-delay': '0' };
      servers.push(await startRedisServer({ settings }));
      busPorts.push(busPort);
    }
    const cluster = new TestCluster(servers, busPorts);
    try {
      await cluster.join();
      return cluster;
    } catch (error) {
      await cluster.remove();
      throw error;
    }
  }

  /** What the processes are told: two nodes of the six. */
  get env(): Readonly<Record<string, string>> {
    const nodes = this.servers.slice(0, 2).map(({ port }) => `127.0.0.1:${port}`);
    return { REDIS_CLUSTER_NODES: nodes.join(','), REDIS_URL: '' };
  }

  /** The master that holds a key, as those tell that answer. */
  async masterOf(key: string): Promise<TestRedis | undefined> {
    const slot = new Command('get', [key]).getSlot();
    const ports = new Set<number>();
    for (const server of this.servers) {
      const ranges = await ask(server, 'SLOTS').catch(() => undefined);
      const owner = (Array.isArray(ranges) ? (ranges as SlotRange[]) : []).find(
        ([first, last]) => first <= slot && slot <= last,
      );
      if (owner) ports.add(owner[2][1]);
    }
    return ports.size === 1 ? this.servers.find(({ port }) => ports.has(port)) : undefined;
  }

  /** Master and replica of a key, as they were at the start. */
  shardOf(key: string): readonly TestRedis[] {
    const slot = new Command('get', [key]).getSlot();
    const index = RANGES.findIndex(([first, last]) => first <= slot && slot <= last);
    return [this.at(index), this.at(index + RANGES.length)];
  }

  async remove(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.remove()));
  }

  private async join(): Promise<void> {
    const [first, ...others] = this.servers;
    if (!first) return;
    for (const [index, range] of RANGES.entries()) {
      const master = this.at(index);
      await ask(master, 'ADDSLOTSRANGE', ...range);
      await ask(master, 'SET-CONFIG-EPOCH', index + 1);
    }
    for (const [index, server] of others.entries())
      await ask(first, 'MEET', '127.0.0.1', server.port, this.busPorts[index + 1] ?? 0);
    await waitUntil('all nodes know each other', () => this.everyNode('cluster_known_nodes', 2 * RANGES.length));
    for (const index of RANGES.keys()) {
      const id = String(await ask(this.at(index), 'MYID'));
      await this.untilDone(() => ask(this.at(index + RANGES.length), 'REPLICATE', id));
    }
    await waitUntil('the cluster is whole', () => this.everyNode('cluster_state', 'ok'));
    await waitUntil('each master has its replica', () => this.haveReplicas());
  }

  private at(index: number): TestRedis {
    const server = this.servers[index];
    if (!server) throw new Error(`this cluster has no node ${index}`);
    return server;
  }

  private async everyNode(field: string, value: string | number): Promise<boolean> {
    const answers = await Promise.all(this.servers.map((server) => ask(server, 'INFO')));
    return answers.every((answer) => String(answer).includes(`${field}:${value}\r\n`));
  }

  private async haveReplicas(): Promise<boolean> {
    const infos = await Promise.all(
      RANGES.map((_, index) => withRedisAt(this.at(index).url, (redis) => redis.info('replication'))),
    );
    return infos.every((info) => info.includes('state=online'));
  }

  /** What one node knows takes a moment to reach the next. */
  private async untilDone(act: () => Promise<unknown>): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      try {
        await act();
        return;
      } catch (error) {
        if (tries > 50) throw error;
        await sleep(100);
      }
    }
  }
}

type SlotRange = readonly [first: number, last: number, master: readonly [host: string, port: number]];

function ask(server: TestRedis, ...args: readonly (string | number)[]): Promise<unknown> {
  return withRedisAt(server.url, (redis) => redis.call('CLUSTER', ...args));
}
