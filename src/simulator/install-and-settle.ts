import { setTimeout as sleep } from 'node:timers/promises';
import { wasAccepted, type Posted } from './event-poster.js';
import type { Installation } from './portal-life.js';
import { DEFAULT_LINE } from './portal-state.js';
import type { SimulatedPortal } from './simulated-portal.js';

/** What became of the POST, and what the app has made of the portal since. */
type Settled = Posted & {
  readonly memberId: string;
  /** Its connectors, each switched on for the first line. */
  readonly connectors: readonly string[];
  /** Names of the events that it has bound. */
  readonly bound: readonly string[];
};

const FIRST_CALL_WITHIN_MS = 5000;
const BOUND_WITHIN_MS = 5000;
/** An app that has not called for so long has registered what it registers. */
const QUIET_MS = 1000;
const LOOK_EVERY_MS = 50;

/**
 * Installs the app, waits until it has bound its events and registered its connectors, and switches these on, as an administrator
 * does. A message that is sent before would go through no connector of the app.
 */
export async function installAndSettle(portal: SimulatedPortal, installation: Installation): Promise<Settled> {
  const lastBefore = portal.calls.at(-1);
  const posted = await portal.install(installation);
  const { state } = portal;
  if (wasAccepted(posted)) {
    await until(() => portal.calls.at(-1) !== lastBefore, FIRST_CALL_WITHIN_MS);
    // An app that does not call at all has no connector either.
    if (portal.calls.at(-1) !== lastBefore) {
      await until(() => state.handlers.length > 0, BOUND_WITHIN_MS);
      await until(() => isQuiet(portal), BOUND_WITHIN_MS);
    }
    for (const connector of state.connectors.keys()) portal.switchLine(connector, DEFAULT_LINE);
  }
  const connectors = [...state.connectors.keys()];
  return { ...posted, memberId: portal.memberId, connectors, bound: state.handlers.map(({ event }) => event) };
}

function isQuiet({ calls }: SimulatedPortal): boolean {
  return Date.now() - (calls.at(-1)?.atMs ?? 0) > QUIET_MS;
}

async function until(isTrue: () => boolean, timeoutMs: number): Promise<void> {
  const endsAtMs = Date.now() + timeoutMs;
  while (!isTrue() && Date.now() < endsAtMs) await sleep(LOOK_EVERY_MS);
}
