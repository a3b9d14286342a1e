import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { startReceiver, type Receiver } from '../support/receiver.js';
import { describeWithRedisBinary, withRedisAt } from '../support/redis-server.js';
import { System, messageBody } from '../support/system.js';
import { waitUntil } from '../support/wait-until.js';

const MINUTE_MS = 60_000;

describeWithRedisBinary('ALERT_URL', () => {
  let alerts: Receiver;
  let system: System;

  beforeAll(async () => {
    alerts = await startReceiver();
    system = await System.start({ env: { ALERT_URL: alerts.url, ALERT_SECRET: alerts.secret } });
  });

  afterAll(async () => {
    await system.close();
    await alerts.close();
  });

  function told(alert: string): readonly unknown[] {
    return alerts.received.filter(({ body }) => body.type === 'alert.firing' && body.data.alert === alert);
  }

  it('hears within a minute of a frozen worker, a full Redis and a full disk, and once of each', async () => {
    system.worker?.signal('SIGSTOP');
    for (const id of [1, 2, 3]) expect((await system.post(messageBody(id))).status).toBe(200);
    await withRedisAt(system.redis.url, async (redis) => {
      await waitUntil('the events are in the queue', async () => (await redis.llen('{b24}:deliveries:wait')) === 3);
      await redis.config('SET', 'maxmemory', '1mb');
    });
    await system.startApi({ API_PORT: '0', DISK_FREE_BYTES_MIN: String(Number.MAX_SAFE_INTEGER) });
    const isTold = (alert: string): boolean => told(alert).length > 0;
    const faults = ['journal-stopped', 'redis-memory', 'nothing-finishes'];
    await waitUntil('notes of all three', () => faults.every(isTold), { timeoutMs: MINUTE_MS });

    expect(told('journal-stopped')).toHaveLength(1);
    expect(told('redis-memory')).toHaveLength(1);
    expect(told('nothing-finishes')).toHaveLength(1);
    expect(alerts.unsigned).toEqual([]);
    // The first ingress goes on taking events all the while.
    expect((await system.post(messageBody(4))).status).toBe(200);
  }, 200_000);
});
