import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from '@jest/globals';
import { Redis } from 'ioredis';
import { findFreePort } from '../../src/cli/free-port.js';
import { findRedisBinary } from '../../src/cli/redis/process-server.js';
import { waitUntilReady } from '../../src/cli/redis/redis-probe.js';
import { waitUntil } from './wait-until.js';

/** A Redis of a test's own, for what would disturb the others: stopped, killed, frozen, full, or started again empty. */
export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** Changes with every start. */
  readonly pid: number;
  readonly dir: string;
  /** On the same port; with the data of before, unless `empty`. */
  start(options?: { readonly empty?: boolean }): Promise<void>;
  /** In order, its data on disk. */
  stop(): Promise<void>;
  /** As by kill -9. */
  kill(): Promise<void>;
  /** Connections are taken, and nothing answers, until `thaw`. */
  freeze(): void;
  thaw(): void;
  /** Ends it and removes its files. */
  remove(): Promise<void>;
}

export interface TestRedisOptions {
  /** As Redis writes it: `64mb`. */
  readonly maxmemory?: string;
  readonly appendfsync?: 'always' | 'everysec' | 'no';
  readonly port?: number;
  readonly password?: string;
  /** By the names of its configuration; over those that a test gets else. */
  readonly settings?: Readonly<Record<string, string>>;
}

export async function startRedisServer(options: TestRedisOptions = {}): Promise<TestRedis> {
  const binary = await findRedisBinary(process.env.PATH ?? '');
  if (binary === undefined) throw new Error('there is no redis-server or valkey-server on the PATH');
  const port = options.port ?? (await findFreePort());
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'b24-test-redis-')));
  const server = new Server({ binary, port, dir, options });
  await server.start();
  return server;
}

interface ServerDeps {
  readonly binary: string;
  readonly port: number;
  readonly dir: string;
  readonly options: TestRedisOptions;
}

class Server implements TestRedis {
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  private child: ChildProcess | undefined;

  constructor(private readonly deps: ServerDeps) {
    this.port = deps.port;
    this.dir = deps.dir;
    const { password } = deps.options;
    this.url = `redis://${password === undefined ? '' : `:${password}@`}127.0.0.1:${deps.port}`;
  }

  get pid(): number {
    if (this.child?.pid === undefined) throw new Error('the Redis of this test does not run');
    return this.child.pid;
  }

  async start({ empty = false }: { readonly empty?: boolean } = {}): Promise<void> {
    if (this.child) throw new Error('the Redis of this test runs already');
    if (empty) await rm(this.dir, { recursive: true, force: true });
    await mkdir(this.dir, { recursive: true });
    const child = spawn(this.deps.binary, this.settings(), { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const collect = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-4000);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    this.child = child;
    // A test run that ends without its afterAll must not leave it behind.
    const end = (): void => void child.kill('SIGKILL');
    process.once('exit', end);
    child.once('exit', () => process.off('exit', end));
    const failure = (): string | undefined =>
      child.exitCode === null ? undefined : `the Redis of this test did not start:\n${output}`;
    if (this.deps.options.password === undefined) await waitUntilReady({ port: this.port, failure });
    else await this.answersWithPassword();
  }

  async stop(): Promise<void> {
    this.thaw();
    await this.endBy('SIGTERM');
  }

  async kill(): Promise<void> {
    await this.endBy('SIGKILL');
  }

  freeze(): void {
    this.child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.child?.kill('SIGCONT');
  }

  async remove(): Promise<void> {
    await this.kill();
    await rm(this.dir, { recursive: true, force: true });
  }

  private async answersWithPassword(): Promise<void> {
    const answers = (): Promise<boolean> =>
      withRedisAt(this.url, async (redis) => (await redis.ping()) === 'PONG').catch(() => false);
    await waitUntil('the Redis of this test takes its password', answers);
  }

  private async endBy(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.child;
    this.child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }

  private settings(): string[] {
    const { maxmemory, appendfsync = 'everysec', password } = this.deps.options;
    const settings = {
      bind: '127.0.0.1',
      port: String(this.port),
      dir: this.dir,
      appendonly: 'yes',
      appendfsync,
      save: '',
      'maxmemory-policy': 'noeviction',
      ...(maxmemory !== undefined && { maxmemory }),
      ...(password !== undefined && { requirepass: password, masterauth: password }),
      ...this.deps.options.settings,
    };
    return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  }
}

/** Tests that stop, freeze or fill a Redis need a `redis-server` or `valkey-server` on the PATH. */
export const describeWithRedisBinary = process.env.TEST_REDIS_BINARY_MISSING === '1' ? describe.skip : describe;

/** A connection for a moment, that gives up at once where Redis does not answer. */
export async function withRedisAt<Value>(url: string, use: (redis: Redis) => Promise<Value>): Promise<Value> {
  const redis = new Redis(url, { commandTimeout: 2000, maxRetriesPerRequest: 0, retryStrategy: null });
  redis.on('error', () => undefined);
  try {
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}
