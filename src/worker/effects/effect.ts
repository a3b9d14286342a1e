import type { BitrixEvent } from '../../shared/bitrix24/event.js';
import type { Destination } from '../destination.js';

/**
 * One thing that is done about an event. An effect may run again after a crash, so whatever it does must bear that, or carry
 * {@link EffectRun.eventId} as its idempotency key.
 */
export interface Effect {
  /** Stands in job ids and metrics; lower case with dashes. */
  readonly name: string;
  /** Absent for what goes no further than our own Redis. */
  readonly destination?: Destination;
  wants(event: BitrixEvent): boolean;
  /** Ends when it is done; throws a JobError that says whether to try again. Stops when `signal` is aborted. */
  run(run: EffectRun): Promise<void>;
}

export interface EffectRun {
  readonly event: BitrixEvent;
  /** The same for every attempt at one event, and for its duplicates. */
  readonly eventId: string;
  readonly signal: AbortSignal;
}
