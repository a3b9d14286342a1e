import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findFreePort } from '../../src/cli/free-port.js';
import { openQueue, type EffectQueue } from '../../src/shared/queues.js';
import type { MessengerMessage } from '../../src/simulator/messenger.js';
import type { SimulatedPortal } from '../../src/simulator/simulated-portal.js';
import { startSimulator, type Simulator } from '../../src/simulator/start-simulator.js';
import { appEnvironment } from './app-system.js';
import { writeFiles } from './page-blocks.js';
import { useSharedRedis, type SharedRedisUse } from './shared-redis.js';
import { startProcess, type SystemProcess } from './system.js';
import { waitUntil } from './wait-until.js';

export const CONNECTOR = 'demo_messenger';
export const LINE = 1;

type Parts = Pick<AppBench, 'dir' | 'url' | 'shared' | 'simulator' | 'portal'>;

/** An app and a simulated portal: ingress and worker as processes on the shared Redis, with handlers that a test gives. */
export class AppBench {
  /** In it `bitrix24-event-worker` is found as `npm install <checkout>` leaves it. */
  readonly dir: string;
  /** Of the ingress. */
  readonly url: string;
  readonly shared: SharedRedisUse;
  readonly simulator: Simulator;
  readonly portal: SimulatedPortal;
  readonly effects: EffectQueue;
  readonly incomingSecret = `whsec_${randomBytes(32).toString('base64')}`;
  private readonly processes: SystemProcess[] = [];
  private readonly env: Readonly<Record<string, string>>;
  private lastMessageId = 0;

  private constructor(parts: Parts) {
    ({ dir: this.dir, url: this.url, shared: this.shared, simulator: this.simulator, portal: this.portal } = parts);
    this.effects = openQueue('effects', this.shared.redis, this.shared.prefix);
    this.simulator.messenger.incoming = { url: `${this.url}/incoming`, secret: this.incomingSecret };
    this.env = this.environment();
  }

  static async start(): Promise<AppBench> {
    const dir = await mkdtemp(join(tmpdir(), 'b24-app-'));
    await mkdir(join(dir, 'node_modules'));
    await symlink(resolve('.'), join(dir, 'node_modules', 'bitrix24-event-worker'));
    await writeFiles(dir, { 'package.json': '{"type":"module"}\n' });
    const simulator = await startSimulator();
    const portal = await simulator.addPortal();
    const url = `http://127.0.0.1:${await findFreePort()}`;
    const bench = new AppBench({ dir, url, shared: useSharedRedis(), simulator, portal });
    await bench.run('dist/api/main.js');
    return bench;
  }

  /** A worker with these handlers; the first time the app is installed. */
  async startWorker(handlersDir: string): Promise<SystemProcess> {
    const worker = await this.run('dist/worker/main.js', { HANDLERS_DIR: handlersDir });
    if (!this.portal.state.isInstalled) await this.portal.install({ eventsUrl: `${this.url}/events` });
    await waitUntil('the connector is registered', () => this.portal.state.connectors.has(CONNECTOR));
    this.switchLine(true);
    return worker;
  }

  /** What an administrator does on the page of the connector, as far as the portal is concerned. */
  switchLine(isActive: boolean): void {
    this.portal.state.connectors.get(CONNECTOR)?.lines.set(LINE, { isActive, data: null });
  }

  /** Sends an operator's message, and gives its id. */
  async say(text: string, message: object = {}): Promise<number> {
    const id = this.nextMessageId();
    await this.portal.send('ONIMCONNECTORMESSAGEADD', this.messages(id, { user_id: 27, text, ...message }));
    return id;
  }

  /** `data` of an event about one message. */
  messages(id: number, message: object): Readonly<Record<string, unknown>> {
    const messages = [{ im: { chat_id: 7, message_id: id }, message, chat: { id: 'chat-7' } }];
    return { CONNECTOR, LINE, MESSAGES: messages };
  }

  nextMessageId(): number {
    return (this.lastMessageId += 1);
  }

  /** What the portal was told about this message, each time. */
  confirmationsOf(id: number): readonly unknown[] {
    return this.portal.calls
      .filter(({ method, status }) => method === 'imconnector.send.status.delivery' && status === 200)
      .flatMap(({ params }) => params['MESSAGES'] as readonly { readonly im: { readonly message_id: number } }[])
      .filter(({ im }) => im.message_id === id);
  }

  async confirmed(id: number, times = 1): Promise<void> {
    await waitUntil(`message ${id} is confirmed`, () => this.confirmationsOf(id).length === times);
  }

  /** What the customer has. */
  delivered(text: string): readonly MessengerMessage[] {
    return [...this.simulator.messenger.messages.values()].filter((message) => message.text === text);
  }

  async end(one: SystemProcess): Promise<void> {
    one.signal('SIGTERM');
    await one.ended();
    this.processes.splice(this.processes.indexOf(one), 1);
  }

  async close(): Promise<void> {
    for (const one of [...this.processes].toReversed()) await this.end(one);
    await this.simulator.close();
    await this.shared.close();
    await rm(this.dir, { recursive: true, force: true });
  }

  private async run(path: string, more: Readonly<Record<string, string>> = {}): Promise<SystemProcess> {
    const started = startProcess(path, { ...this.env, ...more });
    this.processes.push(started);
    await new Promise<void>((whenReady, whenNot) => {
      started.child.once('message', () => whenReady());
      void started.ended().then((code) => whenNot(new Error(`${path} ended with ${code}:\n${started.output()}`)));
    });
    return started;
  }

  private environment(): Record<string, string> {
    const { simulator, shared } = this;
    return {
      REDIS_URL: shared.url,
      QUEUE_PREFIX: shared.prefix,
      DATA_DIR: join(this.dir, 'data'),
      DISK_FREE_BYTES_MIN: '0',
      API_HOST: '127.0.0.1',
      API_PORT: new URL(this.url).port,
      ...appEnvironment(simulator, this.url),
      B24_CONNECTORS: `[{"id":"${CONNECTOR}","name":"Demo messenger"}]`,
      INCOMING_SECRET: this.incomingSecret,
      MESSENGER_URL: `${simulator.url}/messenger`,
      EFFECT_BACKOFF_MS: '50',
      EFFECT_TIMEOUT_MS: '5000',
    };
  }
}
