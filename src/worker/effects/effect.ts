import type { BitrixEvent } from '../../shared/bitrix24/event.js';
import type { Delivery, Secrets } from '../../shared/delivery.js';
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
  /** When it is noted that it was given up, and that it runs again only when a person says so. */
  afterGivenUp?(eventId: string): Promise<void>;
  /** When it is noted that it is done, and will never run again for this event. */
  afterDone?(eventId: string): Promise<void>;
}

export interface EffectRun {
  readonly event: BitrixEvent;
  /** The same for every attempt at one event, and for its duplicates. */
  readonly eventId: string;
  /** The POST that told it first. */
  readonly delivery: Delivery;
  /** What it carried sealed; never to be handed to foreign code. */
  readonly secrets: Secrets;
  readonly signal: AbortSignal;
}
