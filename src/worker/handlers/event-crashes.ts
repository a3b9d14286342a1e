/** How often each event ended the process in which its handler ran. */
export interface EventCrashes {
  /** Says whether that has by now happened so often that the event is to be given up. */
  count(handler: string, eventId: string): boolean;
  /** A run for the event came to an end. */
  forget(handler: string, eventId: string): void;
}

const CRASHES_MAX = 3;
const EVENTS_COUNTED_MAX = 10_000;

/**
 * One event that ends the process each time is given up by itself, so that it does not stop its handler for all other portals. Kept
 * in the memory of one worker: the attempts that an effect has are a bound for all of them together.
 */
export function createEventCrashes(): EventCrashes {
  const counts = new Map<string, number>();
  return {
    count(handler, eventId) {
      const key = keyOf(handler, eventId);
      const crashes = (counts.get(key) ?? 0) + 1;
      // Whoever retries it by hand has mended something: it counts from the beginning.
      counts.delete(key);
      if (crashes >= CRASHES_MAX) return true;
      const [oldest] = counts.keys();
      if (counts.size >= EVENTS_COUNTED_MAX && oldest !== undefined) counts.delete(oldest);
      counts.set(key, crashes);
      return false;
    },
    forget(handler, eventId) {
      counts.delete(keyOf(handler, eventId));
    },
  };
}

function keyOf(handler: string, eventId: string): string {
  return `${handler}.${eventId}`;
}
