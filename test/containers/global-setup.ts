import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const ANSWERS_WITHIN_MS = 20_000;
const BUILT_WITHIN_MS = 900_000;
const OUTPUT_BYTES_MAX = 64 * 1_048_576;

/** The engine must answer; then the images are built, once for all tests, and apart from those that a person may have built. */
export default async function globalSetup({ rootDir }: { readonly rootDir: string }): Promise<void> {
  process.env.APP_IMAGE = 'bitrix24-event-worker:test';
  process.env.TLS_IMAGE = 'bitrix24-event-worker-tls:test';
  const docker = (args: readonly string[], timeout: number): Promise<unknown> =>
    promisify(execFile)('docker', args, { cwd: rootDir, timeout, maxBuffer: OUTPUT_BYTES_MAX });
  await docker(['compose', 'version'], ANSWERS_WITHIN_MS).catch(() => refuse('Compose v2'));
  await docker(['info'], ANSWERS_WITHIN_MS).catch(() => refuse('a Docker engine that answers'));
  const files = ['docker-compose.yml', 'deploy/https.yml'].flatMap((file) => ['--file', file]);
  process.env.DOMAIN = 'localhost';
  await docker(['compose', '--env-file', '/dev/null', ...files, 'build', 'api', 'tls'], BUILT_WITHIN_MS);
}

function refuse(what: string): never {
  throw new Error(`the tests of the containers need ${what}: install Docker with Compose, or set DOCKER_HOST`);
}
