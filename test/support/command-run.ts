import { runOnRedis, type OnRedis } from '../../src/cli/run-on-redis.js';
import type { SharedRedisUse } from './shared-redis.js';

/** What a command said and how it ended. */
export interface CommandRun {
  readonly exitCode: number;
  /** Results. */
  readonly lines: readonly string[];
  readonly said: readonly string[];
}

/** The environment of a command beside a worker of `worker-bench.ts`. */
export function commandEnv({ url, prefix }: SharedRedisUse, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const SECRET_KEY = Buffer.alloc(32, 5).toString('base64');
  return { REDIS_URL: url, QUEUE_PREFIX: prefix, SECRET_KEY, DATA_DIR: '/nonexistent', ...more };
}

export interface CommandRunOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** What a person at the terminal answers. */
  readonly answer?: string;
  readonly signal?: AbortSignal;
}

/** A command in this process. */
export async function runCommand(
  shared: SharedRedisUse,
  work: (parts: OnRedis) => Promise<number>,
  { env = {}, answer, signal = new AbortController().signal }: CommandRunOptions = {},
): Promise<CommandRun> {
  const lines: string[] = [];
  const said: string[] = [];
  const host = {
    env: commandEnv(shared, env),
    signal,
    write: (line: string) => void lines.push(line),
    say: (line: string) => void said.push(line),
    ...(answer !== undefined && { ask: () => Promise.resolve(answer) }),
  };
  const exitCode = await runOnRedis('test', host, work);
  return { exitCode, lines, said };
}
