import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe } from '@jest/globals';
import { findFreePort } from '../../src/cli/free-port.js';
import { findOnPath } from '../../src/cli/redis/run-command.js';
import { startRedisServer, type TestRedis } from './redis-server.js';

/** An authority of a test's own, and a certificate of it for servers on this machine. */
export interface TestAuthority {
  /** In PEM. */
  readonly ca: string;
  /** What a server that speaks TLS is told, by the names of its configuration. */
  readonly settings: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

const openssl = await findOnPath('openssl', process.env.PATH ?? '');

/** Skipped where there is no `openssl` to make certificates with. */
export const describeWithOpenssl =
  openssl === undefined || process.env.TEST_REDIS_BINARY_MISSING === '1' ? describe.skip : describe;

export async function createAuthority(): Promise<TestAuthority> {
  const dir = await mkdtemp(join(tmpdir(), 'b24-test-tls-'));
  const at = (name: string): string => join(dir, name);
  const run = (...args: readonly string[]): Promise<unknown> => promisify(execFile)(openssl ?? 'openssl', args);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await run('req', '-x509', ...key, '-subj', '/CN=an authority of a test', '-days', '2', ...out('ca'));
  await run('req', ...key, '-subj', '/CN=a server of a test', ...out('server', 'csr'));
  await writeFile(at('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const signing = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', at('names')];
  await run('x509', '-req', '-in', at('server.csr'), ...signing, '-days', '2', '-out', at('server.crt'));
  return {
    ca: await readFile(at('ca.crt'), 'utf8'),
    settings: {
      'tls-ca-cert-file': at('ca.crt'),
      'tls-cert-file': at('server.crt'),
      'tls-key-file': at('server.key'),
      'tls-auth-clients': 'no',
    },
    remove: () => rm(dir, { recursive: true, force: true }),
  };

  function out(name: string, kind = 'crt'): readonly string[] {
    return ['-keyout', at(`${name}.key`), '-out', at(`${name}.${kind}`)];
  }
}

/** A server that speaks TLS on a port of its own; its `url` is without, for the test. */
export async function startTlsServer(
  { settings }: TestAuthority,
  more: Readonly<Record<string, string>> = {},
): Promise<{ readonly server: TestRedis; readonly tlsPort: number; readonly tlsUrl: string }> {
  const tlsPort = await findFreePort();
  const server = await startRedisServer({ settings: { ...settings, ...more, 'tls-port': String(tlsPort) } });
  return { server, tlsPort, tlsUrl: `rediss://127.0.0.1:${tlsPort}` };
}
