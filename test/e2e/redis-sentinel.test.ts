import { afterEach, beforeEach, it } from '@jest/globals';
import { expectNothingLost } from '../support/redis-failover.js';
import { TestSentinels } from '../support/redis-sentinels.js';
import { describeWithRedisBinary, withRedisAt } from '../support/redis-server.js';
import { System } from '../support/system.js';
import { waitUntil } from '../support/wait-until.js';

let sentinels: TestSentinels;
let system: System;

describeWithRedisBinary('with Sentinels, under load', () => {
  beforeEach(async () => {
    const passwords = { server: 'of-the-servers', sentinel: 'of-the-sentinels' };
    sentinels = await TestSentinels.start({ passwords });
    system = await System.start({ redis: sentinels.first, env: sentinels.env });
  });
  afterEach(async () => {
    await system.close();
    await sentinels.remove();
  });

  it('nothing is lost when the master is killed, and when it comes back as a replica', async () => {
    await expectNothingLost(system, {
      async fail() {
        await sentinels.first.kill();
        await anotherIsMaster();
      },
      async heal() {
        await sentinels.first.start();
        await firstIsReplica();
      },
    });
  });

  it('nothing is lost, and nothing waits for it, when the master is frozen, and when it wakes up', async () => {
    await expectNothingLost(system, {
      async fail() {
        sentinels.first.freeze();
        await anotherIsMaster();
      },
      async heal() {
        sentinels.first.thaw();
        await firstIsReplica();
      },
    });
  });
});

function anotherIsMaster(): Promise<void> {
  return waitUntil('the Sentinels name another master', async () => {
    const master = await sentinels.master();
    return master !== undefined && master !== sentinels.first;
  });
}

function firstIsReplica(): Promise<void> {
  const isReplica = (): Promise<boolean> =>
    withRedisAt(sentinels.first.url, async (redis) => (await redis.info('replication')).includes('role:slave'));
  return waitUntil('the old master is a replica', () => isReplica().catch(() => false));
}
