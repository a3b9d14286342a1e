import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { findFreePort } from '../../src/cli/free-port.js';
import { APPLICATION_TOKEN, MEMBER_ID, formBody } from './deliveries.js';
import { RECEIVER_SECRET, startReceiver, type Receiver } from './receiver.js';
import { startRedisServer, type TestRedis } from './redis-server.js';
import { waitUntil } from './wait-until.js';

/** A second portal, of which no fixture speaks. */
export const OTHER_MEMBER_ID = 'a223c6b3710f85df22e9377d6c4f7553';
export const OTHER_TOKEN = 'token-of-the-other-portal';

/** One of the product's processes, as it is built, with what it wrote to standard output. */
export interface SystemProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  output(): string;
  /** Its log lines that tell of this. */
  logged(event: string): readonly Record<string, unknown>[];
  signal(signal: NodeJS.Signals): void;
  /** The exit code, or the signal that ended it. */
  ended(): Promise<number | string>;
}

export interface Posted {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly durationMs: number;
}

export interface SystemOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly redis?: TestRedis;
}

/** Ingress and worker as processes, a Redis of their own, and a receiver: the whole way of an event. */
export class System {
  private readonly processes = new Set<SystemProcess>();
  private readonly agent = new Agent({ connections: 64 });
  api: SystemProcess | undefined;
  worker: SystemProcess | undefined;

  readonly redis: TestRedis;
  readonly receiver: Receiver;
  readonly dataDir: string;

  private constructor(
    parts: Pick<System, 'redis' | 'receiver' | 'dataDir'>,
    private readonly env: Readonly<Record<string, string>>,
  ) {
    this.redis = parts.redis;
    this.receiver = parts.receiver;
    this.dataDir = parts.dataDir;
  }

  static async start(options: SystemOptions = {}): Promise<System> {
    const redis = options.redis ?? (await startRedisServer());
    const receiver = await startReceiver();
    const dataDir = await mkdtemp(join(tmpdir(), 'b24-system-'));
    const system = new System(
      { redis, receiver, dataDir },
      {
        REDIS_URL: redis.url,
        DATA_DIR: dataDir,
        API_HOST: '127.0.0.1',
        API_OPS_PORT: '0',
        WORKER_OPS_PORT: '0',
        API_PORT: String(await findFreePort()),
        APPLICATION_TOKENS: `${MEMBER_ID}=${APPLICATION_TOKEN},${OTHER_MEMBER_ID}=${OTHER_TOKEN}`,
        FORWARD_URL: receiver.url,
        FORWARD_SECRET: RECEIVER_SECRET,
        DISK_FREE_BYTES_MIN: '0',
        EFFECT_BACKOFF_MS: '100',
        EFFECT_TIMEOUT_MS: '5000',
        ...options.env,
      },
    );
    await system.startApi();
    await system.startWorker();
    return system;
  }

  get url(): string {
    return `http://127.0.0.1:${this.env.API_PORT}/events`;
  }

  /** Ready or not. */
  get lastStarted(): SystemProcess | undefined {
    return [...this.processes].at(-1);
  }

  async startApi(env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.api = await this.startProcess('dist/api/main.js', env);
  }

  async startWorker(env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.worker = await this.startProcess('dist/worker/main.js', env);
  }

  /** Every POST with a connection of the same pool; a refused connection is an error, not an answer. */
  async post(body: string): Promise<Posted> {
    const startedAt = performance.now();
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const response = await request(this.url, { method: 'POST', headers, body, dispatcher: this.agent });
    const answer = (await response.body.json()) as Record<string, unknown>;
    return { status: response.statusCode, body: answer, durationMs: performance.now() - startedAt };
  }

  /** Ids of messages that were forwarded with a good answer or not, each once. */
  forwardedMessageIds(): Set<number> {
    return new Set(this.receiver.received.map(({ body }) => messageIdIn(body.data)));
  }

  async allForwarded(messageIds: readonly number[], timeoutMs = 60_000): Promise<void> {
    const missing = (): number[] => {
      const forwarded = this.forwardedMessageIds();
      return messageIds.filter((id) => !forwarded.has(id));
    };
    await waitUntil(`all ${messageIds.length} events are forwarded`, () => missing().length === 0, { timeoutMs });
  }

  async close(): Promise<void> {
    for (const { child } of this.processes) if (isAlive(child)) child.kill('SIGKILL');
    await Promise.all([...this.processes].map((one) => one.ended()));
    await this.agent.destroy();
    await this.receiver.close();
    await this.redis.remove();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  private async startProcess(path: string, env: Readonly<Record<string, string>> = {}): Promise<SystemProcess> {
    const started = startProcess(path, { ...this.env, ...env });
    this.processes.add(started);
    const [message] = (await Promise.race([
      once(started.child, 'message'),
      started.ended().then((code) => {
        throw new Error(`${path} ended with ${code} before it was ready:\n${started.output()}`);
      }),
    ])) as [{ type?: string }];
    if (message.type !== 'ready') throw new Error(`${path} said something else than ready`);
    return started;
  }
}

/** With an environment of its own: nothing of the test's is left in it. */
export function startProcess(path: string, env: Readonly<Record<string, string>>): SystemProcess {
  const child = fork(path, { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const chunks: string[] = [];
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  const exit = once(child, 'exit') as Promise<[number | null, string | null]>;
  const output = (): string => chunks.join('');
  return {
    child,
    pid: child.pid ?? 0,
    output,
    logged: (event) =>
      output()
        .split('\n')
        .flatMap((line) => parseLine(line, event)),
    signal: (signal) => void child.kill(signal),
    ended: async () => {
      const [code, signal] = await exit;
      return code ?? signal ?? 'nothing';
    },
  };
}

/** A message of its own for every number. */
export function messageBody(messageId: number, changes: Readonly<Record<string, string>> = {}): string {
  return formBody('ONIMCONNECTORMESSAGEADD', { 'data[MESSAGES][0][im][message_id]': String(messageId), ...changes });
}

export interface LoadOptions {
  readonly lanes?: number;
  readonly from?: number;
  /** Written over the fields of each message. */
  readonly changes?: Readonly<Record<string, string>>;
}

/** Posts one message after the other, `lanes` at a time, until told to stop; gathers what was answered. */
export class Load {
  readonly accepted: number[] = [];
  readonly answers: Posted[] = [];
  readonly errors: unknown[] = [];
  private isStopped = false;
  private next: number;
  private readonly changes: Readonly<Record<string, string>>;
  private readonly done: Promise<unknown>;

  constructor(
    private readonly system: System,
    { lanes = 8, from = 1, changes = {} }: LoadOptions = {},
  ) {
    this.next = from;
    this.changes = changes;
    this.done = Promise.all(Array.from({ length: lanes }, () => this.run()));
  }

  reaches(count: number): Promise<void> {
    return waitUntil(`${count} events are accepted`, () => this.accepted.length >= count);
  }

  async more(count: number): Promise<void> {
    await this.reaches(this.accepted.length + count);
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    await this.done;
  }

  private async run(): Promise<void> {
    while (!this.isStopped) {
      const id = this.next++;
      try {
        const answer = await this.system.post(messageBody(id, this.changes));
        this.answers.push(answer);
        if (answer.status === 200) this.accepted.push(id);
      } catch (error) {
        this.errors.push(error);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

function messageIdIn(data: Record<string, unknown>): number {
  const payload = data.payload as { messages?: { im: { message_id: number } }[] };
  return payload.messages?.[0]?.im.message_id ?? -1;
}

function parseLine(line: string, event: string): Record<string, unknown>[] {
  if (!line.startsWith('{')) return [];
  const parsed = JSON.parse(line) as Record<string, unknown>;
  return parsed.event === event ? [parsed] : [];
}

function isAlive(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}
