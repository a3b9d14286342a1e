import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/shared/config.js';
import type { Delivery } from '../../src/shared/delivery.js';
import { createOps, type ProcessOps } from '../../src/shared/ops/ops.js';
import { createPortalStore, type PortalStore } from '../../src/shared/portals.js';
import type { Running } from '../../src/shared/process-lifecycle.js';
import {
  DELIVERY_JOB_OPTIONS,
  openQueue,
  type DeliveryQueue,
  type EffectQueue,
  type RejectedQueue,
} from '../../src/shared/queues.js';
import { createSealer } from '../../src/shared/sealer.js';
import { toSecretKey } from '../../src/shared/secret-keys.js';
import { startWorker, type WorkerKnobs } from '../../src/worker/start-worker.js';
import { APPLICATION_TOKEN, MEMBER_ID, deliveryOf } from './deliveries.js';
import { RECEIVER_SECRET, startReceiver, type Receiver } from './receiver.js';
import { silentLogger, useSharedRedis, type SharedRedisUse } from './shared-redis.js';
import { waitUntil } from './wait-until.js';
import { withoutTracing } from '../../src/shared/tracing/tracing.js';

const KEY = Buffer.alloc(32, 5);
export const workerSealer = createSealer({ current: toSecretKey(KEY), previous: [] });

/** A worker in this process, on the shared Redis, that forwards to a receiver; the deliveries are put into its queue by hand. */
export class WorkerBench {
  readonly deliveries: DeliveryQueue;
  readonly effects: EffectQueue;
  readonly rejected: RejectedQueue;
  readonly portals: PortalStore;
  /** Of the worker that was started last. */
  ops: ProcessOps = createOps();
  /** Why its process would have ended. */
  readonly ends: unknown[] = [];
  private worker: Running | undefined;

  private constructor(
    readonly receiver: Receiver,
    readonly shared: SharedRedisUse,
    private readonly dataDir: string,
  ) {
    const { redis, prefix } = shared;
    this.deliveries = openQueue('deliveries', redis, prefix);
    this.effects = openQueue('effects', redis, prefix);
    this.rejected = openQueue('rejected', redis, prefix);
    this.portals = createPortalStore({ ...shared, sealer: workerSealer });
  }

  static async open(): Promise<WorkerBench> {
    return new WorkerBench(await startReceiver(), useSharedRedis(), await mkdtemp(join(tmpdir(), 'b24-worker-')));
  }

  async start(env: Readonly<Record<string, string>> = {}, knobs: WorkerKnobs = {}): Promise<void> {
    const config = loadConfig({
      REDIS_URL: this.shared.url,
      QUEUE_PREFIX: this.shared.prefix,
      DATA_DIR: this.dataDir,
      SECRET_KEY: KEY.toString('base64'),
      APPLICATION_TOKENS: `${MEMBER_ID}=${APPLICATION_TOKEN}`,
      FORWARD_URL: this.receiver.url,
      FORWARD_SECRET: RECEIVER_SECRET,
      EFFECT_BACKOFF_MS: '20',
      EFFECT_TIMEOUT_MS: '1000',
      ...env,
    });
    this.ops = createOps();
    const fail = (error: unknown): void => void this.ends.push(error);
    this.worker = await startWorker(
      { config, logger: silentLogger, ops: this.ops, tracing: withoutTracing, fail },
      knobs,
    );
  }

  async stop(): Promise<void> {
    const { worker } = this;
    this.worker = undefined;
    await worker?.stop();
  }

  async close(): Promise<void> {
    await this.stop();
    await this.receiver.close();
    await this.shared.close();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  async deliver(
    name: string,
    changes: Readonly<Record<string, string>> = {},
    more: Partial<Delivery> = {},
  ): Promise<Delivery> {
    const delivery = { ...deliveryOf(workerSealer, name, changes), ...more };
    await this.deliveries.add(delivery.name, delivery, { jobId: delivery.id, ...DELIVERY_JOB_OPTIONS });
    return delivery;
  }

  /** Once it has ended: its outcome, or the reason of its failure. */
  async outcomeOf(delivery: Delivery): Promise<string> {
    await waitUntil(`delivery ${delivery.id} ends`, async () => {
      const state = await this.deliveries.getJobState(delivery.id);
      return state === 'completed' || state === 'failed';
    });
    const job = await this.deliveries.getJob(delivery.id);
    return job?.failedReason ?? job?.returnvalue?.outcome ?? 'nothing';
  }

  async failedEffect(): Promise<{ readonly reason: string; readonly retry: () => Promise<void> }> {
    await waitUntil('an effect fails for good', async () => (await this.effects.getFailedCount()) > 0);
    const [job] = await this.effects.getFailed();
    return { reason: job?.failedReason ?? '', retry: async () => job?.retry('failed', { resetAttemptsMade: true }) };
  }

  effectDone(): Promise<void> {
    return waitUntil('the effect is done', async () => (await this.effects.getCompletedCount()) === 1);
  }

  forwards(count: number): Promise<void> {
    return waitUntil(`${count} forwarded`, () => this.receiver.received.length >= count);
  }
}
