import { LOOK_GAP_MS_MAX } from '../look-gap.js';
import type { QueueCounts } from '../queue-counts.js';
import type { AlertRule } from './alert-rule.js';

export interface QueueRulesDeps {
  /** Of every queue whose jobs must move. Rejects where Redis does not answer. */
  readonly counts: () => Promise<readonly QueueCounts[]>;
  readonly effectTimeoutMs: number;
  /** Of day. */
  readonly nowMs: () => number;
}

export const QUEUE_BOUNDS = {
  oldMs: 300_000,
  /** For so long nothing was begun or ended, though something waits. */
  stillMs: 40_000,
  /** What is under way may take as long as an attempt, and a little. */
  beyondAttemptMs: 10_000,
} as const;
/** The backlog of an outage is old when it comes, and mostly gone soon. */
const OLD_FOR_MS = 15_000;
/** A delayed job that is due is taken up at once, unless there is nobody to do so. */
const OVERDUE_MS = 10_000;

/** What every process can see of the work in the queues; so dead workers are seen by the ingress, and the other way round. */
export function createQueueRules(deps: QueueRulesDeps): AlertRule[] {
  return [createEventsOld(deps), createNothingFinishes(deps)];
}

function createEventsOld({ counts, nowMs }: QueueRulesDeps): AlertRule {
  const emptyAtMs = new Map<string, number>();
  return {
    name: 'events-old',
    scope: 'system',
    forMs: OLD_FOR_MS,
    async check() {
      const now = nowMs();
      const tooOld = (await counts()).flatMap((look) => {
        const waitedMs = oldestWaitMs(look, emptyAtMs, now);
        return waitedMs > QUEUE_BOUNDS.oldMs ? [`an event has waited in ${look.queue} for ${seconds(waitedMs)} s`] : [];
      });
      return sentence(tooOld);
    },
  };
}

/**
 * A queue that was paused is waited for by whoever paused it. A retried effect has a time that lies as far back as its last attempt: it
 * waits at the longest since its queue was seen empty.
 */
function oldestWaitMs(look: QueueCounts, emptyAtMs: Map<string, number>, now: number): number {
  const isEmpty = look.waiting === 0 || look.isPaused;
  if (isEmpty || !emptyAtMs.has(look.queue)) emptyAtMs.set(look.queue, now);
  if (isEmpty || look.oldestWaitingAtMs === undefined) return 0;
  const sinceEmptyMs = look.queue === 'deliveries' ? Infinity : now - (emptyAtMs.get(look.queue) ?? now);
  return Math.min(now - look.oldestWaitingAtMs, sinceEmptyMs);
}

function createNothingFinishes(deps: QueueRulesDeps): AlertRule {
  const standstills = new Map<string, Standstill>();
  const read = async (): Promise<readonly QueueCounts[]> => {
    try {
      return await deps.counts();
    } catch (error) {
      // Nothing moves while Redis is away; that says nothing of the workers.
      standstills.clear();
      throw error;
    }
  };
  return {
    name: 'nothing-finishes',
    scope: 'system',
    forMs: 0,
    async check() {
      const looks = await read();
      const now = deps.nowMs();
      const still = looks.flatMap((look) => {
        const standstill = followed(standstills.get(look.queue), look, now);
        standstills.set(look.queue, standstill);
        const stillMs = now - standstill.sinceMs;
        const isStill = stillMs >= allowedMs(look, deps.effectTimeoutMs);
        return isStill
          ? [`${look.waiting} wait in ${look.queue}, and none has finished for ${seconds(stillMs)} s`]
          : [];
      });
      return sentence(still);
    },
  };
}

/** Since when all looks at a queue were alike. */
interface Standstill {
  readonly alike: string;
  readonly sinceMs: number;
  readonly seenAtMs: number;
}

function followed(before: Standstill | undefined, look: QueueCounts, now: number): Standstill {
  const isDue = look.waiting > 0 || (look.firstDueAtMs !== undefined && now - look.firstDueAtMs > OVERDUE_MS);
  // One that finishes changes one of these, but for a full house of finished jobs; then the next one is the oldest.
  const { oldestWaitingAtMs, firstDueAtMs, active, completed, failed } = look;
  const alike = JSON.stringify([oldestWaitingAtMs, firstDueAtMs, active, completed, failed]);
  const goesOn = isDue && !look.isPaused && before?.alike === alike && now - before.seenAtMs <= LOOK_GAP_MS_MAX;
  return { alike, sinceMs: goesOn ? before.sinceMs : now, seenAtMs: now };
}

function allowedMs({ active }: QueueCounts, effectTimeoutMs: number): number {
  const { stillMs, beyondAttemptMs } = QUEUE_BOUNDS;
  return active === 0 ? stillMs : Math.max(stillMs, effectTimeoutMs + beyondAttemptMs);
}

function seconds(durationMs: number): number {
  return Math.round(durationMs / 1000);
}

function sentence(parts: readonly string[]): string | undefined {
  return parts.length === 0 ? undefined : parts.join('; ');
}
