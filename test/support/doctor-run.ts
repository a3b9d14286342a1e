import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { doctor, type DoctorKnobs, type DoctorOptions } from '../../src/cli/doctor.js';
import { findFreePort } from '../../src/cli/free-port.js';
import type { Check } from '../../src/cli/doctor/report.js';

export interface DoctorRun {
  readonly exitCode: number;
  readonly isOk: boolean;
  readonly checks: readonly Check[];
  /** As it was written. */
  readonly text: string;
  /** Those that have this id. */
  of(id: string): readonly Check[];
  /** The ids of those that have this status, each once. */
  ids(status: Check['status']): readonly string[];
}

export interface DoctorRunOptions extends DoctorKnobs {
  readonly portal?: string;
}

/** `b24-events doctor --json` in this process. */
export async function runDoctor(env: NodeJS.ProcessEnv, options: DoctorRunOptions = {}): Promise<DoctorRun> {
  const { portal, ...knobs } = options;
  const { exitCode, text } = await writeDoctor(env, { json: true, ...(portal !== undefined && { portal }) }, knobs);
  const { ok, checks } = JSON.parse(text) as { ok: boolean; checks: Check[] };
  return {
    exitCode,
    isOk: ok,
    checks,
    text,
    of: (id) => checks.filter((check) => check.id === id),
    ids: (status) => [...new Set(checks.filter((check) => check.status === status).map(({ id }) => id))],
  };
}

/** What it writes; each line is told as it comes. */
export async function writeDoctor(
  env: NodeJS.ProcessEnv,
  options: DoctorOptions,
  { onLine = () => undefined, ...knobs }: DoctorKnobs & { readonly onLine?: (line: string) => void } = {},
): Promise<{ readonly exitCode: number; readonly text: string }> {
  const lines: string[] = [];
  const write = (line: string): void => {
    lines.push(line);
    onLine(line);
  };
  const { signal } = new AbortController();
  // Whether the tests run in a container must not matter to them.
  const exitCode = await doctor(options, { env, signal, write, say: write }, { isInContainer: false, ...knobs });
  return { exitCode, text: lines.join('\n') };
}

/** What a doctor needs to find nothing wrong with a Redis and a machine on which nothing runs yet; with a key in the folder. */
export async function doctorEnvironment(redisUrl: string | undefined, dataDir: string): Promise<NodeJS.ProcessEnv> {
  await writeFile(join(dataDir, 'secret.key'), `${Buffer.alloc(32, 7).toString('base64')}\n`, { mode: 0o600 });
  return {
    REDIS_URL: redisUrl,
    DATA_DIR: dataDir,
    DISK_FREE_BYTES_MIN: '0',
    JOURNAL_BYTES_MAX: '1048576',
    API_PORT: String(await findFreePort()),
    API_OPS_PORT: String(await findFreePort()),
    WORKER_OPS_PORT: String(await findFreePort()),
    APPLICATION_TOKENS: 'portal-a=token-a',
  };
}
