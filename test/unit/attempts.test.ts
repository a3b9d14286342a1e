import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import type { BitrixEvent } from '../../src/shared/bitrix24/event.js';
import { toBitrixEvent } from '../../src/shared/bitrix24/to-event.js';
import { createSealer } from '../../src/shared/sealer.js';
import { toSecretKey } from '../../src/shared/secret-keys.js';
import { Attempts, type Subject } from '../../src/worker/attempts.js';
import type { Effect } from '../../src/worker/effects/effect.js';
import { createVerifier } from '../../src/worker/verifier.js';
import { deliveryOf } from '../support/deliveries.js';
import { withoutTracing } from '../../src/shared/tracing/tracing.js';

const sealer = createSealer({ current: toSecretKey(Buffer.alloc(32, 1)), previous: [] });
const verifier = createVerifier({
  applicationTokens: new Map(),
  portals: { look: async () => ({ portal: undefined, removal: undefined }) },
  sealer,
});
const metrics = { attempted: () => undefined };
const never = new AbortController().signal;

function subjectOf(name: string): Subject {
  const { delivery, secrets } = verifier.verifiedBefore(deliveryOf(sealer, name));
  const parsed = toBitrixEvent(delivery);
  if (!parsed.ok) throw new Error('the fixture does not fit');
  return { delivery, secrets, event: parsed.event, eventId: delivery.eventId };
}

function effectThat(run: (event: BitrixEvent, signal: AbortSignal) => Promise<void>): Effect {
  return { name: 'test', wants: () => true, run: ({ event, signal }) => run(event, signal) };
}

function createAttempts(timeoutMs = 1000): Attempts {
  return new Attempts({
    logger: pino({ level: 'silent' }),
    tracing: withoutTracing,
    metrics,
    timeoutMs,
    now: Date.now,
  });
}

describe('attempts at an effect', () => {
  it('never run beside each other for one event, also when its job was given to this process again', async () => {
    const attempts = createAttempts();
    const subject = subjectOf('ONIMCONNECTORMESSAGEADD');
    let running = 0;
    let most = 0;
    const effect = effectThat(async () => {
      most = Math.max(most, (running += 1));
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    });
    const run = { lane: 'first', attempt: 1, signal: never } as const;
    await Promise.all([1, 2, 3].map(() => attempts.make(effect, subject, run)));
    expect(most).toBe(1);
  });

  it('end with EFFECT_TIMEOUT at their deadline', async () => {
    const effect = effectThat((_event, signal) => rejectedBy(signal));
    const run = { lane: 'first', attempt: 1, signal: never } as const;
    const result = await createAttempts(20).make(effect, subjectOf('ONIMCONNECTORMESSAGEADD'), run);
    expect(result).toMatchObject({ kind: 'failed', error: { code: 'EFFECT_TIMEOUT', verdict: 'later' } });
  });

  it('are interrupted, not failed, when the job is no longer theirs', async () => {
    const lost = new AbortController();
    const effect = effectThat((_event, signal) => rejectedBy(signal));
    const run = { lane: 'first', attempt: 1, signal: lost.signal } as const;
    const made = createAttempts().make(effect, subjectOf('ONIMCONNECTORMESSAGEADD'), run);
    lost.abort();
    expect(await made).toEqual({ kind: 'interrupted' });
  });

  it('keep the secrets of the event out of the reason of a failure', async () => {
    const subject = subjectOf('ONIMCONNECTORMESSAGEADD');
    const secret = '5680b91b0000844000785e072978228d24bd2f';
    expect(subject.secrets.auth.access_token).toBe(secret);
    const effect = effectThat(() => Promise.reject(new Error(`GET /?auth=${secret} failed`)));
    const run = { lane: 'first', attempt: 1, signal: never } as const;
    const result = await createAttempts().make(effect, subject, run);
    expect(result.kind === 'failed' && result.error.message).toMatch(
      /^EFFECT_UNEXPECTED: .*GET \/\?auth=\[sealed\] failed/,
    );
  });
});

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
  });
}
