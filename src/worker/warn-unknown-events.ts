import { isKnownEventName } from '../shared/bitrix24/event.js';
import type { Logger } from '../shared/logger.js';

/** Names of whose family Bitrix24 has no others; these two have no typed payload here. */
const FAMILY = /^(?:ONIMCONNECTOR|ONAPP)/;
const WITHOUT_TYPE: ReadonlySet<string> = new Set(['ONAPPTEST', 'ONAPPMETHODCONFIRM']);

/** A misspelt name is bound nowhere and never comes, and nothing else would say so. */
export function warnUnknownEvents(logger: Logger, names: readonly string[]): void {
  for (const eventName of names) {
    if (!FAMILY.test(eventName) || isKnownEventName(eventName) || WITHOUT_TYPE.has(eventName)) continue;
    logger.warn(
      { event: 'handler.event_unknown', eventName },
      'a handler asks for an event that Bitrix24 does not have: its name may be misspelt',
    );
  }
}
