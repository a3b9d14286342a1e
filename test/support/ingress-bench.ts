import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { Registry } from 'prom-client';
import { createIntakeMetrics } from '../../src/api/ingress-metrics.js';
import { Journals } from '../../src/api/journals.js';
import { SenderList } from '../../src/api/sender-list.js';
import { startServer, type ServerDeps } from '../../src/api/server.js';
import { loadConfig } from '../../src/shared/config.js';
import type { Delivery } from '../../src/shared/delivery.js';
import { createLogger } from '../../src/shared/logger.js';
import { createSealer, type Sealer } from '../../src/shared/sealer.js';
import { toSecretKey } from '../../src/shared/secret-keys.js';
import { formBody } from './deliveries.js';
import { withoutTracing } from '../../src/shared/tracing/tracing.js';

/** The ingress on a real port and a real disk, without a drain: what is journalled stays there to be looked at. */
export interface IngressBench {
  readonly url: string;
  /** What it logged. */
  readonly lines: readonly string[];
  /** What sealed the secrets of what it journalled. */
  readonly sealer: Sealer;
  journalled(): Promise<Delivery[]>;
  /** The ingress alone, as at SIGTERM. */
  stop(): Promise<void>;
  remove(): Promise<void>;
}

export interface IngressBenchOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly deps?: Partial<
    Pick<
      ServerDeps,
      | 'journals'
      | 'requestTimeoutMs'
      | 'inFlightBytesMax'
      | 'idleMs'
      | 'sealer'
      | 'connectorParts'
      | 'restTimeoutMs'
      | 'nowMs'
    >
  >;
}

/** The machine that runs the tests may have a full disk. */
const SETTINGS = { API_HOST: '127.0.0.1', API_PORT: '0', DISK_FREE_BYTES_MIN: '0' };

export async function startIngressBench({ env = {}, deps = {} }: IngressBenchOptions = {}): Promise<IngressBench> {
  const dataDir = await mkdtemp(join(tmpdir(), 'b24-test-ingress-'));
  const lines: string[] = [];
  const logger = createLogger('info', 'test', { write: (line) => void lines.push(line) });
  const config = loadConfig({ ...SETTINGS, DATA_DIR: dataDir, ...env });
  const senders = await SenderList.start({ config, logger });
  const journals = await Journals.open({ ...config, logger });
  const sealer = deps.sealer ?? createSealer({ current: toSecretKey(randomBytes(32)), previous: [] });
  const metrics = createIntakeMetrics(new Registry());
  const common = { config, senders, journals, sealer, logger, metrics, tracing: withoutTracing };
  const given = { ...common, idleMs: 10, connectorParts: undefined, ...deps };
  const server = await startServer(given);
  return {
    url: server.url,
    lines,
    sealer,
    async journalled() {
      const records = (await journals.sources[0]?.read(0)) ?? [];
      return records.map((record) => JSON.parse(record.text) as Delivery);
    },
    stop: () => server.stop(),
    async remove() {
      await server.stop();
      await journals.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export interface IngressUse {
  /** The one that was started last. */
  readonly bench: IngressBench;
  /** Answers the address to post to. */
  start(env?: NodeJS.ProcessEnv, deps?: IngressBenchOptions['deps']): Promise<string>;
}

/** For a file in which each test starts an ingress; it is removed after the test. */
export function useIngress(): IngressUse {
  let bench: IngressBench | undefined;
  afterEach(async () => {
    await bench?.remove();
    bench = undefined;
  });
  return {
    get bench() {
      if (!bench) throw new Error('no ingress was started');
      return bench;
    },
    async start(env = {}, deps = {}) {
      bench = await startIngressBench({ env, deps });
      return bench.url;
    },
  };
}

export interface Answered {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Headers;
}

export const FORM = 'application/x-www-form-urlencoded';
export const EVENT = formBody('ONIMCONNECTORSTATUSDELETE');
/** Of a request on a bare socket; what says how long the body is follows. */
export const HEAD = `POST /events HTTP/1.1\r\nhost: test\r\ncontent-type: ${FORM}\r\n`;

export async function post(
  url: string,
  body: string | Uint8Array,
  headers: Record<string, string> = { 'content-type': FORM },
): Promise<Answered> {
  const response = await fetch(url, { method: 'POST', body, headers });
  return { status: response.status, body: await response.json(), headers: response.headers };
}

/** What a person's browser is shown. */
export interface ShownPage {
  readonly status: number;
  readonly html: string;
  readonly headers: Headers;
}

export async function postForPage(url: string, fields: Readonly<Record<string, string>>): Promise<ShownPage> {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(fields) });
  return { status: response.status, html: await response.text(), headers: response.headers };
}
