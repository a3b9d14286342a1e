import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Docker and the images of the tests. A variable of the product that a person has set would get into the containers. */
const PASSED_ON = /^(?:PATH|HOME|DOCKER_.*|(?:APP|TLS)_IMAGE)$/;
const OUTPUT_BYTES_MAX = 64 * 1_048_576;

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** Runs `docker …` in the folder of the project; gives what it wrote, and throws with all that where it fails. */
export async function docker(args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const passedOn = Object.entries(process.env).filter(([name]) => PASSED_ON.test(name));
  const { stdout, stderr } = await promisify(execFile)('docker', args, {
    cwd: ROOT,
    env: { ...Object.fromEntries(passedOn), ...options.env },
    timeout: options.timeoutMs ?? 240_000,
    killSignal: 'SIGKILL',
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  return stdout + stderr;
}
