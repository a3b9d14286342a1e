import { beforeEach, describe, expect, it } from '@jest/globals';
import { createIngressAlerts, type JournalState } from '../../src/api/ingress-alerts.js';
import type { AlertName, AlertRule } from '../../src/shared/alerts/alert-rule.js';
import { createQueueRules } from '../../src/shared/alerts/queue-rules.js';
import { createRedisRules } from '../../src/shared/alerts/redis-rules.js';
import type { QueueCounts } from '../../src/shared/queue-counts.js';
import { createWorkerAlerts } from '../../src/worker/worker-alerts.js';
import { EMPTY_QUEUE } from '../support/queue-counts.js';

const START_MS = 1_800_000_000_000;
const LOOK_MS = 5000;

let now: number;
const nowMs = (): number => now;

beforeEach(() => {
  now = START_MS;
});

function ruleOf(rules: readonly AlertRule[], name: AlertName): AlertRule {
  const rule = rules.find((one) => one.name === name);
  if (!rule) throw new Error(`there is no rule ${name}`);
  return rule;
}

/** Looks every five seconds for so long; the last answer. */
async function lookFor(rule: AlertRule, durationMs: number, between: () => void = () => undefined): Promise<unknown> {
  let answer: unknown;
  for (const untilMs = now + durationMs; now <= untilMs; now += LOOK_MS) {
    answer = await rule.check();
    between();
  }
  return answer;
}

describe('the rules about queues', () => {
  let looks: QueueCounts[];
  let failure: Error | undefined;
  let rules: AlertRule[];

  function queue(changes: Partial<QueueCounts> = {}): QueueCounts {
    return { ...EMPTY_QUEUE, ...changes };
  }

  beforeEach(() => {
    looks = [queue()];
    failure = undefined;
    const counts = async (): Promise<QueueCounts[]> => {
      if (failure) throw failure;
      return looks;
    };
    rules = createQueueRules({ counts, effectTimeoutMs: 30_000, nowMs });
  });

  describe('events-old', () => {
    it('holds when a delivery has waited for more than five minutes since its receipt', async () => {
      const rule = ruleOf(rules, 'events-old');
      looks = [queue({ waiting: 1, oldestWaitingAtMs: now - 299_000 })];
      expect(await rule.check()).toBeUndefined();
      looks = [queue({ waiting: 1, oldestWaitingAtMs: now - 301_000 })];
      expect(await rule.check()).toBe('an event has waited in deliveries for 301 s');
    });

    it('does not hold for a queue that is paused', async () => {
      looks = [queue({ waiting: 1, oldestWaitingAtMs: now - 3_600_000, isPaused: true })];
      expect(await ruleOf(rules, 'events-old').check()).toBeUndefined();
    });

    it('counts for a retried effect the time since its queue was empty, not since its last attempt', async () => {
      const rule = ruleOf(rules, 'events-old');
      looks = [queue({ queue: 'effects' })];
      await rule.check();
      looks = [queue({ queue: 'effects', waiting: 1, oldestWaitingAtMs: now - 3_600_000 })];
      expect(await lookFor(rule, 300_000)).toBeUndefined();
      expect(await rule.check()).toMatch(/^an event has waited in effects for 305 s$/);
    });
  });

  describe('nothing-finishes', () => {
    it('holds when something waits and nothing has changed for 40 seconds', async () => {
      const rule = ruleOf(rules, 'nothing-finishes');
      looks = [queue({ waiting: 3, oldestWaitingAtMs: now })];
      expect(await lookFor(rule, 35_000)).toBeUndefined();
      expect(await rule.check()).toBe('3 wait in deliveries, and none has finished for 40 s');
    });

    it('sees growth alone as no progress', async () => {
      looks = [queue({ waiting: 3, oldestWaitingAtMs: now })];
      const grow = (): void => {
        looks = looks.map((look) => ({ ...look, waiting: look.waiting + 1 }));
      };
      expect(await lookFor(ruleOf(rules, 'nothing-finishes'), 40_000, grow)).toContain('none has finished');
    });

    it.each(['active', 'completed', 'failed', 'oldestWaitingAtMs'] as const)(
      'does not hold while %s changes',
      async (field) => {
        looks = [queue({ waiting: 3, oldestWaitingAtMs: now })];
        const move = (): void => {
          looks = looks.map((look) => ({ ...look, [field]: (look[field] ?? 0) + 1 }));
        };
        expect(await lookFor(ruleOf(rules, 'nothing-finishes'), 300_000, move)).toBeUndefined();
      },
    );

    it('leaves what is under way the time of an attempt', async () => {
      const counts = async (): Promise<QueueCounts[]> => [
        queue({ waiting: 3, active: 200, oldestWaitingAtMs: START_MS }),
      ];
      const rule = ruleOf(createQueueRules({ counts, effectTimeoutMs: 600_000, nowMs }), 'nothing-finishes');
      expect(await lookFor(rule, 605_000)).toBeUndefined();
      expect(await rule.check()).toContain('none has finished for 610 s');
    });

    it('holds when a delayed effect is due and nobody takes it up', async () => {
      looks = [queue({ queue: 'effects', delayed: 1, firstDueAtMs: now })];
      expect(await lookFor(ruleOf(rules, 'nothing-finishes'), 60_000)).toContain('wait in effects');
    });

    it('does not hold for an empty queue, nor for one that is paused', async () => {
      const rule = ruleOf(rules, 'nothing-finishes');
      looks = [queue({ delayed: 1, firstDueAtMs: now + 3_600_000 })];
      expect(await lookFor(rule, 300_000)).toBeUndefined();
      looks = [queue({ waiting: 3, oldestWaitingAtMs: now, isPaused: true })];
      expect(await lookFor(rule, 300_000)).toBeUndefined();
    });

    it('does not count the time in which Redis was away, nor that of a suspended process', async () => {
      const rule = ruleOf(rules, 'nothing-finishes');
      looks = [queue({ waiting: 3, oldestWaitingAtMs: now })];
      await rule.check();
      failure = new Error('Redis is away');
      for (let seconds = 0; seconds < 300; seconds += 15) {
        now += 15_000;
        await expect(rule.check()).rejects.toThrow('Redis is away');
      }
      failure = undefined;
      expect(await rule.check()).toBeUndefined();
      now += 300_000;
      expect(await rule.check()).toBeUndefined();
    });

    it('begins to count anew after a look that failed', async () => {
      const rule = ruleOf(rules, 'nothing-finishes');
      looks = [queue({ waiting: 3, oldestWaitingAtMs: now })];
      await lookFor(rule, 35_000);
      failure = new Error('Redis is away');
      await expect(rule.check()).rejects.toThrow('Redis is away');
      failure = undefined;
      now += LOOK_MS;
      expect(await lookFor(rule, 35_000)).toBeUndefined();
      expect(await rule.check()).toContain('none has finished for 40 s');
    });
  });
});

describe('the rules about Redis', () => {
  const info = async (): Promise<{ usedBytes: number; bytesMax: number }> => ({ usedBytes: 85, bytesMax: 100 });

  function unreachable(message: string): AlertRule {
    const write = async (): Promise<void> => Promise.reject(new Error(message));
    return ruleOf(createRedisRules({ write, info }), 'redis-unreachable');
  }

  it('redis-unreachable names what Redis answers to a write, and no address', async () => {
    const full = unreachable("OOM command not allowed when used memory > 'maxmemory'.");
    expect(await full.check()).toBe('Redis takes no writes: OOM');
    expect(await unreachable('READONLY You cannot write').check()).toBe('Redis takes no writes: READONLY');
    expect(await unreachable('connect ECONNREFUSED 10.0.0.7:6379').check()).toBe('Redis does not answer');
    const well = createRedisRules({ write: async () => undefined, info });
    expect(await ruleOf(well, 'redis-unreachable').check()).toBeUndefined();
  });

  it('redis-memory holds from 85 % of maxmemory on, and never where none is set', async () => {
    const ruleWith = (usedBytes: number, bytesMax: number): AlertRule =>
      ruleOf(
        createRedisRules({ write: async () => undefined, info: async () => ({ usedBytes, bytesMax }) }),
        'redis-memory',
      );
    expect(await ruleWith(84, 100).check()).toBeUndefined();
    expect(await ruleWith(85, 100).check()).toBe('Redis uses 85 of 100 bytes (maxmemory)');
    expect(await ruleWith(10 ** 12, 0).check()).toBeUndefined();
  });
});

describe('the rules about the journal', () => {
  let look: JournalState;
  let rules: AlertRule[];

  beforeEach(() => {
    look = { problem: undefined, records: 0, oldestAgeMs: 0 };
    rules = createIngressAlerts({ look: () => look, nowMs });
  });

  it('journal-stopped says why events are turned away', async () => {
    const rule = ruleOf(rules, 'journal-stopped');
    expect(await rule.check()).toBeUndefined();
    look = { ...look, problem: 'the journal is reopening' };
    expect(await rule.check()).toBe('events are turned away: the journal is reopening');
  });

  it('journal-growing holds when the oldest record is older than 45 seconds', async () => {
    const rule = ruleOf(rules, 'journal-growing');
    look = { ...look, records: 7, oldestAgeMs: 45_000 };
    expect(await rule.check()).toBeUndefined();
    look = { ...look, oldestAgeMs: 46_000 };
    expect(await rule.check()).toBe('7 events are in the journal, the oldest for 46 s');
  });

  it('journal-growing holds when there are very many records, and more than half a minute ago', async () => {
    const rule = ruleOf(rules, 'journal-growing');
    const rise = (): void => {
      look = { ...look, records: look.records + 10 };
    };
    look = { ...look, records: 5000 };
    expect(await lookFor(rule, 120_000, rise)).toBeUndefined();
    look = { ...look, records: 20_000 };
    expect(await lookFor(rule, 60_000, rise)).toContain('events are in the journal');
  });

  it('journal-growing does not hold while very many records become fewer', async () => {
    look = { ...look, records: 50_000 };
    const fall = (): void => {
      look = { ...look, records: look.records - 10 };
    };
    expect(await lookFor(ruleOf(rules, 'journal-growing'), 120_000, fall)).toBeUndefined();
  });
});

describe('failures-rising', () => {
  let failures: Map<string, number>;
  let rule: AlertRule;

  beforeEach(() => {
    failures = new Map([['EFFECT_TIMEOUT', 1_000_000]]);
    rule = ruleOf(createWorkerAlerts({ failures: () => failures, nowMs }), 'failures-rising');
  });

  function fail(code: string, count: number): void {
    failures.set(code, (failures.get(code) ?? 0) + count);
  }

  it('does not count what failed before the process looked', async () => {
    expect(await rule.check()).toBeUndefined();
  });

  it('holds at ten of one code within five minutes, and not for five of two', async () => {
    fail('EFFECT_TIMEOUT', 5);
    fail('EFFECT_REFUSED', 9);
    expect(await rule.check()).toBeUndefined();
    fail('EFFECT_REFUSED', 1);
    expect(await rule.check()).toBe('10 failures with EFFECT_REFUSED in five minutes');
  });

  it('does not hold for handlers that ask to be run again later', async () => {
    fail('HANDLER_LATER', 1000);
    expect(await rule.check()).toBeUndefined();
  });

  it('is over when the last five minutes had few', async () => {
    fail('EFFECT_REFUSED', 100);
    expect(await lookFor(rule, 290_000)).toBeDefined();
    expect(await lookFor(rule, 60_000)).toBeUndefined();
  });

  it('does not hold for what fails as often as it did in the hour before', async () => {
    const steadily = (): void => fail('EFFECT_REFUSED', 1);
    await lookFor(rule, 3_600_000, steadily);
    expect(await lookFor(rule, 300_000, steadily)).toBeUndefined();
    const fourfold = (): void => fail('EFFECT_REFUSED', 4);
    expect(await lookFor(rule, 300_000, fourfold)).toContain('EFFECT_REFUSED');
  });
});
