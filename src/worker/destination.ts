import {
  BrokenCircuitError,
  CircuitState,
  ConsecutiveBreaker,
  ExponentialBackoff,
  circuitBreaker,
  handleWhen,
} from 'cockatiel';
import { JobError, type JobErrorCode } from '../shared/errors.js';
import { createSlots, type Slots } from './slots.js';

/**
 * Where an effect goes: an HTTP address, a handler. It has a breaker, so that a destination that keeps failing is spared and costs
 * nothing, and slots of its own, so that one that hangs cannot take those of the others.
 *
 * The breaker: *closed*, runs go through; after {@link FAILURES_MAX} failures in a row *open*, nothing goes through; after a
 * while one run is let through as a test, which closes or opens it again.
 */
export interface Destination {
  /** Runs, or says until when it is no use to try: `busy` has used nothing up. */
  use<Result>(lane: Lane, signal: AbortSignal, run: () => Promise<Result>): Promise<Used<Result>>;
}

/** First tries and retries have slots apart, like the queues they come from. */
export type Lane = 'first' | 'retry';

export type Used<Result> =
  { readonly kind: 'ran'; readonly result: Result } | { readonly kind: 'busy'; readonly retryAtMs: number };

export interface DestinationDeps {
  readonly slots: Readonly<Record<Lane, number>>;
  /** The first rest of the breaker, and the shortest wait of a run that finds it open. */
  readonly restMs: number;
  readonly now: () => number;
  readonly random?: () => number;
  /** False where the failures of one run say nothing about the next, as where each goes to another portal: slots alone then. */
  readonly breaks?: boolean;
  readonly onStateChange?: (state: 'open' | 'closed') => void;
}

const FAILURES_MAX = 10;
const REST_MS_MAX = 60_000;
const BUSY_WAIT_MS_MAX = 600_000;

/** Failures that speak of the destination and not of one event. */
const FAULTS: ReadonlySet<JobErrorCode> = new Set(['EFFECT_UNAVAILABLE', 'EFFECT_UNREACHABLE', 'EFFECT_TIMEOUT']);

export function createDestination(deps: DestinationDeps): Destination {
  const random = deps.random ?? Math.random;
  const slots: Record<Lane, Slots> = {
    first: createSlots(deps.slots.first, deps.now),
    retry: createSlots(deps.slots.retry, deps.now),
  };
  const breaker = circuitBreaker(
    handleWhen((error) => deps.breaks !== false && error instanceof JobError && FAULTS.has(error.code)),
    {
      halfOpenAfter: new ExponentialBackoff({
        initialDelay: Math.min(deps.restMs, REST_MS_MAX),
        maxDelay: REST_MS_MAX,
      }),
      breaker: new ConsecutiveBreaker(FAILURES_MAX),
    },
  );
  let openedAtMs: number | undefined;
  breaker.onBreak(() => {
    if (openedAtMs === undefined) deps.onStateChange?.('open');
    openedAtMs ??= deps.now();
  });
  breaker.onReset(() => {
    openedAtMs = undefined;
    deps.onStateChange?.('closed');
  });

  return {
    async use(lane, signal, run) {
      // While a test is under way the others go elsewhere, rather than wait for it in their slots.
      if (breaker.state === CircuitState.HalfOpen) return busy();
      const slot = await slots[lane].enter(signal);
      if (!slot) return busy();
      try {
        return { kind: 'ran', result: await breaker.execute(run) };
      } catch (error) {
        if (error instanceof BrokenCircuitError) return busy();
        throw error;
      } finally {
        slot.leave();
      }
    },
  };

  /** The longer it has been down, the rarer each waiting run looks again: else a long backlog would be nothing but looks. */
  function busy(): { kind: 'busy'; retryAtMs: number } {
    const now = deps.now();
    const downMs = openedAtMs === undefined ? 0 : now - openedAtMs;
    const waitMs = Math.min(Math.max(deps.restMs, downMs / 2), BUSY_WAIT_MS_MAX);
    return { kind: 'busy', retryAtMs: now + Math.ceil(waitMs * (0.5 + random())) };
  }
}
