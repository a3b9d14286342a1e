import { randomUUID } from 'node:crypto';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Writable } from 'node:stream';
import type { RestClient } from '../../src/shared/bitrix24/rest/portal-calls.js';
import { toBitrixEvent } from '../../src/shared/bitrix24/to-event.js';
import { createConnectorStates, type ConnectorStates } from '../../src/shared/connector-states.js';
import type { Secrets } from '../../src/shared/delivery.js';
import { createLogger } from '../../src/shared/logger.js';
import { emptyPortal, type Portal } from '../../src/shared/portals.js';
import { createSealer } from '../../src/shared/sealer.js';
import { toSecretKey } from '../../src/shared/secret-keys.js';
import type { Environment } from '../../src/worker/handlers/host-environment.js';
import { loadHandlers, type Handlers, type HandlersDeps } from '../../src/worker/handlers/handler-effects.js';
import { createOnceStore, type OnceStore } from '../../src/worker/handlers/once-store.js';
import { MEMBER_ID, deliveryOf } from './deliveries.js';
import { hostsOf } from './host-processes.js';
import { useSharedRedis, type SharedRedisUse } from './shared-redis.js';
import { waitUntil } from './wait-until.js';

const handlerSealer = createSealer({ current: toSecretKey(Buffer.alloc(32, 6)), previous: [] });

export interface BenchRun {
  /** Of the event; none, where this is unset. */
  readonly secrets?: Secrets;
  readonly eventId?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly fixture?: string;
}

/** Handlers in real processes, with the shared Redis and a REST client that answers as the test says. */
export class HandlerBench {
  /** Each line of the log. */
  readonly log: Record<string, unknown>[] = [];
  /** REST calls in their order. */
  readonly calls: { readonly method: string; readonly params: unknown; readonly runKey: string }[] = [];
  readonly portals = new Map<string, Portal>();
  readonly states: ConnectorStates;
  readonly once: OnceStore;
  answer: (method: string, params: unknown) => unknown = () => true;
  handlers: Handlers | undefined;

  private constructor(
    readonly dir: string,
    readonly shared: SharedRedisUse,
  ) {
    this.states = createConnectorStates(shared);
    this.once = createOnceStore({ ...shared, sealer: handlerSealer, ttlSeconds: 60 });
  }

  static async open(): Promise<HandlerBench> {
    return new HandlerBench(await realpath(await mkdtemp(join(tmpdir(), 'b24-handlers-'))), useSharedRedis());
  }

  /** A module whose handler takes every event, with that code as its `run`; `later` and `never` are imported. */
  async writeHandler(name: string, run: string): Promise<void> {
    const head = `import { defineHandler, later, never } from 'bitrix24-event-worker';
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
void [later, never, appendFileSync, sleep];
const note = (text) => appendFileSync(${JSON.stringify(this.notesFile)}, text + '\\n');`;
    const code = `export default defineHandler({ name: '${name}', events: ['*'], async run(event, ctx) { ${run} } });`;
    await this.writeModule(`${name}.mjs`, `${head}\nvoid note;\n${code}\n`);
  }

  async writeModule(file: string, code: string): Promise<void> {
    await writeFile(join(this.dir, file), code);
  }

  get notesFile(): string {
    return join(this.dir, 'notes.txt');
  }

  async start(more: Partial<HandlersDeps> & { readonly env?: Environment } = {}): Promise<void> {
    this.handlers = await loadHandlers({
      dir: this.dir,
      env: process.env,
      logger: createLogger('info', 'test', this.#logStream()),
      slots: { first: 50, retry: 50 },
      restMs: 1000,
      rest: this.#rest(),
      portals: { find: (memberId) => Promise.resolve(this.portals.get(memberId)) },
      connectorStates: this.states,
      once: this.once,
      now: Date.now,
      hostFile: resolve('dist/worker/handlers/handler-host.js'),
      graceMs: 200,
      ...more,
    });
  }

  /** Resolves and rejects as the effect does. */
  async run(handler: string, { eventId = randomUUID(), ...more }: BenchRun = {}): Promise<void> {
    const delivery = deliveryOf(handlerSealer, more.fixture ?? 'ONIMCONNECTORMESSAGEADD');
    const parsed = toBitrixEvent(delivery);
    if (!parsed.ok) throw new Error('the fixture is not an event');
    const effect = this.handlers?.effects.find(({ name }) => name === `handler-${handler}`);
    if (!effect) throw new Error(`no handler ${handler}`);
    const { event } = parsed;
    const signal = more.signal ?? AbortSignal.timeout(more.timeoutMs ?? 30_000);
    await effect.run({ event, eventId, delivery, secrets: more.secrets ?? { auth: {}, data: [] }, signal });
  }

  /** Its code, `HANDLER_FAILED`, and the rest of it. */
  async failureOf(
    handler: string,
    run: BenchRun = {},
  ): Promise<{ code: string; message: string; retryAfterMs?: number }> {
    return this.run(handler, run).then(
      () => ({ code: 'none', message: 'it went well' }),
      (error: unknown) => error as { code: string; message: string },
    );
  }

  logged(event: string): readonly Record<string, unknown>[] {
    return this.log.filter((line) => line['event'] === event);
  }

  /** The ids of the host processes that are alive. */
  hosts(): Promise<readonly number[]> {
    return hostsOf(this.dir);
  }

  install(domain = 'demo.bitrix24.com'): void {
    this.portals.set(MEMBER_ID, {
      ...emptyPortal(MEMBER_ID),
      domain,
      clientEndpoint: `https://${domain}/rest/`,
      oauth: { accessToken: 'access-secret', refreshToken: 'refresh-secret', userId: 1, generation: 1 },
    });
  }

  async close(): Promise<void> {
    await this.handlers?.stop();
    await waitUntil('all hosts are gone', async () => (await this.hosts()).length === 0);
    await this.shared.close();
    await rm(this.dir, { recursive: true, force: true });
  }

  #rest(): RestClient {
    return {
      open: ({ runKey }) => ({
        call: async (method, params) => {
          this.calls.push({ method, params, runKey });
          return (await this.answer(method, params)) as null;
        },
      }),
    };
  }

  #logStream(): Writable {
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        for (const line of chunk.toString().split('\n').filter(Boolean)) this.log.push(JSON.parse(line));
        done();
      },
    });
  }
}
