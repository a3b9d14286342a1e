import { spawn, type ChildProcess } from 'node:child_process';
import { access, constants, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface CommandResult {
  /** null when it could not be started, was killed, or took too long. */
  readonly exitCode: number | null;
  readonly output: string;
}

export interface CommandOptions {
  readonly timeoutMs: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
}

const OUTPUT_CHARACTERS_MAX = 65_536;

/**
 * Runs a command to its end; never throws. It gets a process group of its own: the Ctrl-C that ends us reaches the whole
 * foreground group, and would kill a `docker stop` half-way.
 */
export function runCommand(file: string, args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.env && { env: options.env }),
    });
    let output = '';
    const collect = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const finish = (exitCode: number | null, text: string): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', cancel);
      resolve({ exitCode, output: text });
    };
    const cancel = (): void => {
      killGroup(child);
      finish(null, output.trim());
    };
    const timer = setTimeout(cancel, options.timeoutMs);
    options.signal?.addEventListener('abort', cancel, { once: true });
    child.once('error', (error) => finish(null, error.message));
    child.once('close', (exitCode) => finish(exitCode, output.trim()));
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It ended between the look and the call.
  }
}

/** The full path of a program, looked up as a shell does. `searchPath` is the value of `PATH`. */
export async function findOnPath(program: string, searchPath: string): Promise<string | undefined> {
  for (const folder of searchPath.split(':').filter(Boolean)) {
    const file = join(folder, program);
    if (await isExecutable(file)) return file;
  }
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}
