import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { AppSystem } from '../support/app-system.js';
import { APPLICATION_TOKEN, MEMBER_ID } from '../support/deliveries.js';
import { NodeProcess } from '../support/node-process.js';
import { TestCluster } from '../support/redis-cluster.js';
import { expectNothingLost } from '../support/redis-failover.js';
import { describeWithRedisBinary, type TestRedis } from '../support/redis-server.js';
import { messageBody, System } from '../support/system.js';
import { waitUntil } from '../support/wait-until.js';

let cluster: TestCluster;
let system: System;
/** Of the slot of every key. */
let master: TestRedis;

const PREFIX = '{b24}';

describeWithRedisBinary('with a cluster', () => {
  let app: AppSystem | undefined;

  beforeEach(async () => {
    cluster = await TestCluster.start();
  });
  afterEach(async () => {
    await app?.close();
    await cluster.remove();
  });

  it('an app is installed, an event that came five times is done once, and one that failed is done later', async () => {
    app = await AppSystem.start({ env: { ...cluster.env, APPLICATION_TOKENS: `${MEMBER_ID}=${APPLICATION_TOKEN}` } });
    system = app.system;
    await app.install();
    await app.forwards('ONAPPINSTALL', 1);
    await Promise.all(Array.from({ length: 5 }, () => system.post(messageBody(1))));
    const duplicates = (): number => system.worker?.logged('delivery.duplicate').length ?? 0;
    await waitUntil('four are duplicates', () => duplicates() === 4);
    let refusals = 2;
    system.receiver.answer = () => ({ status: refusals-- > 0 ? 503 : 204 });
    await system.post(messageBody(2));
    await waitUntil('its effect is done', () => messagesOf(system).join() === '1,2,2,2');
  });

  it('npm start starts no Redis of its own, and says which one it takes', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'b24-start-on-cluster-'));
    const ports = { API_PORT: '0', API_OPS_PORT: '0', WORKER_OPS_PORT: '0' };
    const secret = { REDIS_URL: 'redis://default:of-the-cluster@any' };
    const env = {
      PATH: process.env.PATH,
      DATA_DIR: dataDir,
      API_HOST: '127.0.0.1',
      ...ports,
      ...cluster.env,
      ...secret,
    };
    const program = new NodeProcess({ args: ['dist/cli/start.js'], env });
    await program.line(
      /^ {2}Redis +redis: the cluster of 127\.0\.0\.1:\d+, 127\.0\.0\.1:\d+ {2}\(REDIS_CLUSTER_NODES\)$/,
    );
    program.child.kill('SIGTERM');
    expect(await program.exitCode()).toBe(0);
    expect(program.output()).not.toContain('of-the-cluster');
    expect(await readdir(dataDir)).not.toContain('redis');
    await rm(dataDir, { recursive: true, force: true });
  });
});

describeWithRedisBinary('with a cluster, under load', () => {
  beforeEach(async () => {
    cluster = await TestCluster.start();
    master = await ownerOfSlot();
    system = await System.start({ redis: master, env: cluster.env });
  });
  afterEach(async () => {
    await system.close();
    await cluster.remove();
  });

  it('nothing is lost when the master of our slot is killed, and when it comes back as a replica', async () => {
    await expectNothingLost(system, {
      async fail() {
        await master.kill();
        await anotherHoldsSlot();
      },
      heal: () => master.start(),
    });
  });

  it('nothing is lost, and nothing waits for it, when that master is frozen, and when it wakes up', async () => {
    await expectNothingLost(system, {
      async fail() {
        master.freeze();
        await anotherHoldsSlot();
      },
      heal: () => Promise.resolve(master.thaw()),
    });
  });
});

/** In the order in which they were sent on, each attempt. */
function messagesOf({ receiver }: System): readonly number[] {
  return receiver.received.flatMap(({ body }) => {
    const { messages = [] } = body.data.payload as { messages?: { im: { message_id: number } }[] };
    return messages.map(({ im }) => im.message_id);
  });
}

async function ownerOfSlot(): Promise<TestRedis> {
  const owner = await cluster.masterOf(PREFIX);
  if (!owner) throw new Error('the nodes do not agree who holds the slot of the prefix');
  return owner;
}

function anotherHoldsSlot(): Promise<void> {
  return waitUntil('another node holds the slot', async () => {
    const owner = await cluster.masterOf(PREFIX);
    return owner !== undefined && owner !== master;
  });
}
