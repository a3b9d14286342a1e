import { setTimeout as sleep } from 'node:timers/promises';
import type { RestClient } from '../shared/bitrix24/rest/portal-calls.js';
import { errorCode, errorMessage } from '../shared/caught-error.js';
import { JobError } from '../shared/errors.js';
import { setUpPortal, type PortalPlan, type PortalSetup } from '../shared/portal-setup.js';
import type { PortalStore } from '../shared/portals.js';

export interface SubscribeDeps {
  readonly portals: Pick<PortalStore, 'find'>;
  readonly rest: RestClient;
  readonly plan: PortalPlan;
  /** The same for all portals of this call, and for no other: their places in the budgets. */
  readonly runKey: string;
  /** For one portal, the waiting for its budget included. */
  readonly timeoutMs: number;
  /** The user's wish to stop. */
  readonly signal: AbortSignal;
  /** Told of each portal as it ends. */
  readonly onResult: (result: SubscribeResult) => void;
}

export interface SubscribeResult {
  readonly memberId: string;
  readonly domain: string | null;
  readonly outcome: PortalSetup | SubscribeFault;
}

export interface SubscribeFault {
  readonly code: string;
  readonly message: string;
}

export function isFault(outcome: PortalSetup | SubscribeFault): outcome is SubscribeFault {
  return 'code' in outcome;
}

/** Few enough that a command takes little of what the workers need. */
const AT_ONCE = 4;

/**
 * Sets up each of the portals, several at a time; a fault of one keeps no other from being set up. At the signal those under way are
 * given up, and no further one is begun.
 */
export async function subscribePortals(memberIds: readonly string[], deps: SubscribeDeps): Promise<void> {
  const waiting = memberIds.values();
  const lane = async (): Promise<void> => {
    for (const memberId of waiting) {
      if (deps.signal.aborted) return;
      deps.onResult(await subscribe(memberId, deps));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

async function subscribe(memberId: string, deps: SubscribeDeps): Promise<SubscribeResult> {
  const timeout = AbortSignal.timeout(deps.timeoutMs);
  const signal = AbortSignal.any([timeout, deps.signal]);
  let domain: string | null = null;
  try {
    const portal = await deps.portals.find(memberId);
    if (!portal) throw new JobError('PORTAL_NOT_INSTALLED');
    ({ domain } = portal);
    return { memberId, domain, outcome: await setUpPatiently(memberId, deps, signal) };
  } catch (error) {
    const outcome = { code: errorCode(error) ?? 'FAILED', message: reasonOf(error, timeout, deps) };
    return { memberId, domain, outcome };
  }
}

function reasonOf(error: unknown, timeout: AbortSignal, { signal, timeoutMs }: SubscribeDeps): string {
  if (signal.aborted) return 'not done: it was stopped';
  return timeout.aborted ? `not done within ${timeoutMs / 1000} s` : errorMessage(error);
}

const WAIT_MS = 1000;
const WAIT_MS_MAX = 30_000;

/** What heals by itself is waited for, unless that takes longer than there is time. */
async function setUpPatiently(memberId: string, deps: SubscribeDeps, signal: AbortSignal): Promise<PortalSetup> {
  const { rest, runKey, plan, timeoutMs } = deps;
  const run = { memberId, runKey: `${runKey}.${memberId}`, signal };
  const endsAtMs = performance.now() + timeoutMs;
  for (let waitMs = WAIT_MS; ; waitMs = Math.min(waitMs * 2, WAIT_MS_MAX)) {
    try {
      return await setUpPortal(rest.open(run), plan);
    } catch (error) {
      if (!(error instanceof JobError) || error.verdict !== 'later') throw error;
      const nextMs = error.retryAfterMs ?? waitMs;
      if (performance.now() + nextMs > endsAtMs) throw error;
      await sleep(nextMs, undefined, { signal });
    }
  }
}
