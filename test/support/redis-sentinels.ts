import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from '../../src/cli/free-port.js';
import { findRedisBinary } from '../../src/cli/redis/process-server.js';
import { startRedisServer, withRedisAt, type TestRedis } from './redis-server.js';
import { waitUntil } from './wait-until.js';

const NAME = 'events';
const SENTINELS = 3;

export interface TestSentinelsOptions {
  /** Of the servers, and of the Sentinels. */
  readonly passwords?: { readonly server: string; readonly sentinel: string };
}

/** A master, its replica, and three Sentinels of which two decide, within a second. */
export class TestSentinels {
  /** The master at the start. */
  readonly first: TestRedis;

  private constructor(private readonly parts: Parts) {
    this.first = parts.first;
  }

  static async start(options: TestSentinelsOptions = {}): Promise<TestSentinels> {
    const { passwords } = options;
    const access = passwords && { password: passwords.server };
    const settings = { 'repl-diskless-sync-delay': '0' };
    const master = await startRedisServer({ ...access, settings });
    const replicaof = `127.0.0.1 ${master.port}`;
    const replica = await startRedisServer({ ...access, settings: { ...settings, replicaof } });
    const dir = await mkdtemp(join(tmpdir(), 'b24-test-sentinels-'));
    const ports: number[] = [];
    while (ports.length < SENTINELS) ports.push(await findFreePort());
    const children = await Promise.all(
      ports.map((port) => startSentinel({ port, dir, lines: linesOf(port, master, options) })),
    );
    const sentinels = new TestSentinels({ first: master, servers: [master, replica], ports, children, dir, options });
    try {
      await waitUntil('the Sentinels know each other and the replica', () => sentinels.areReady());
      return sentinels;
    } catch (error) {
      await sentinels.remove();
      throw error;
    }
  }

  /** What the processes are told. */
  get env(): Readonly<Record<string, string>> {
    const { passwords } = this.parts.options;
    return {
      REDIS_SENTINELS: this.parts.ports.map((port) => `127.0.0.1:${port}`).join(','),
      REDIS_SENTINEL_NAME: NAME,
      REDIS_URL: passwords ? `redis://:${passwords.server}@not-looked-at` : '',
      ...(passwords && { REDIS_SENTINEL_PASSWORD: passwords.sentinel }),
    };
  }

  /** The server that all Sentinels name. */
  async master(): Promise<TestRedis | undefined> {
    const named = await Promise.all(this.parts.ports.map((port) => this.ask(port, 'get-master-addr-by-name', NAME)));
    const ports = new Set(named.map((answer) => (Array.isArray(answer) ? Number(answer[1]) : undefined)));
    return ports.size === 1 ? this.parts.servers.find(({ port }) => ports.has(port)) : undefined;
  }

  async remove(): Promise<void> {
    await Promise.all(this.parts.children.map((child) => endSentinel(child)));
    await Promise.all(this.parts.servers.map((server) => server.remove()));
    await rm(this.parts.dir, { recursive: true, force: true });
  }

  private async areReady(): Promise<boolean> {
    const answers = await Promise.all(this.parts.ports.map((port) => this.ask(port, 'master', NAME).catch(() => [])));
    return answers.every((answer) => {
      const fields = Array.isArray(answer) ? answer.map(String) : [];
      const field = (name: string): string | undefined => fields[fields.indexOf(name) + 1];
      return field('num-other-sentinels') === String(SENTINELS - 1) && field('num-slaves') === '1';
    });
  }

  private ask(port: number, ...args: readonly string[]): Promise<unknown> {
    const user = this.parts.options.passwords ? `:${this.parts.options.passwords.sentinel}@` : '';
    return withRedisAt(`redis://${user}127.0.0.1:${port}`, (redis) => redis.call('SENTINEL', ...args));
  }
}

interface Parts {
  readonly first: TestRedis;
  readonly servers: readonly TestRedis[];
  readonly ports: readonly number[];
  readonly children: readonly ChildProcess[];
  readonly dir: string;
  readonly options: TestSentinelsOptions;
}

export interface SentinelProcess {
  readonly port: number;
  readonly dir: string;
  /** Of its configuration. */
  readonly lines: readonly string[];
}

export async function startSentinel({ port, dir, lines }: SentinelProcess): Promise<ChildProcess> {
  const binary = await findRedisBinary(process.env.PATH ?? '');
  if (binary === undefined) throw new Error('there is no redis-server or valkey-server on the PATH');
  // A Sentinel writes into this file what it learns.
  const file = join(dir, `${port}.conf`);
  await writeFile(file, ['bind 127.0.0.1', `dir ${dir}`, ...lines].join('\n'));
  const child = spawn(binary, [file, '--sentinel'], { cwd: dir, stdio: 'ignore' });
  // A test run that ends without its afterAll must not leave it behind.
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  return child;
}

function linesOf(port: number, master: TestRedis, { passwords }: TestSentinelsOptions): string[] {
  return [
    `port ${port}`,
    `sentinel monitor ${NAME} 127.0.0.1 ${master.port} 2`,
    `sentinel down-after-milliseconds ${NAME} 1000`,
    `sentinel failover-timeout ${NAME} 3000`,
    ...(passwords ? [`sentinel auth-pass ${NAME} ${passwords.server}`, `requirepass ${passwords.sentinel}`] : []),
  ];
}

export async function endSentinel(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
