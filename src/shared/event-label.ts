import { isKnownEventName } from './bitrix24/event.js';
import { INCOMING_PREFIX } from './delivery.js';

/**
 * The name under which an event is counted. Anybody can post names without end, and each would be a series of its own: so it is one of
 * those that are known here or that somebody asked for (`asked`, which may hold patterns), or else `incoming` or `other`.
 */
export function createEventLabel(asked: readonly string[]): (name: string) => string {
  const names = new Set(asked.filter((name) => !name.includes('*')));
  return (name) => {
    if (name.startsWith(INCOMING_PREFIX)) return 'incoming';
    return isKnownEventName(name) || names.has(name) ? name : 'other';
  };
}
