import { JobError } from '../../errors.js';
import type { Portal, PortalStore, Suspension } from '../../portals.js';
import type { SuspensionReason } from './rest-answer.js';

/** An end of payment that an event told is looked at as late as one that a call met. */
export const PAYMENT_PROBE_MS = 3_600_000;
/** After this one call may look whether it has healed. Nothing but a new installation gives another refresh token. */
const PROBE_AFTER_MS: Readonly<Record<SuspensionReason, number | null>> = {
  payment: PAYMENT_PROBE_MS,
  deleted: 900_000,
  access: 3_600_000,
  overload: 900_000,
  reauthorize: null,
};
/** When a run looks again at a portal whose suspension only an event ends. */
const LOOK_AGAIN_MS = 900_000;

export interface Suspending {
  readonly memberId: string;
  readonly reason: SuspensionReason;
  /** Of the tokens that were used: for others it says nothing. */
  readonly generation: number;
  readonly nowMs: number;
}

/** Suspends a portal, unless it has other tokens by now. Answers what stands in its record afterwards. */
export function suspend(
  portals: PortalStore,
  { memberId, reason, generation, nowMs }: Suspending,
): Promise<Portal | undefined> {
  return portals.update(memberId, (portal) => {
    if (portal?.oauth?.generation !== generation) return undefined;
    const sinceMs = portal.suspension?.reason === reason ? portal.suspension.sinceMs : nowMs;
    return { ...portal, suspension: { reason, sinceMs, probeAtMs: probeAtMs(reason, nowMs) } };
  });
}

/** Says whether this caller is the one who may look; the next one may after the same time again. */
export async function claimProbe(portals: PortalStore, memberId: string, nowMs: number): Promise<boolean> {
  let isOurs = false;
  await portals.update(memberId, (portal) => {
    isOurs = portal?.suspension !== null && portal !== undefined && isProbeDue(portal.suspension, nowMs);
    if (!isOurs || !portal?.suspension) return undefined;
    const { suspension } = portal;
    return { ...portal, suspension: { ...suspension, probeAtMs: probeAtMs(suspension.reason, nowMs) } };
  });
  return isOurs;
}

/** A call went through, with tokens of this generation. Says whether a suspension ended by that. */
export async function liftSuspension(portals: PortalStore, memberId: string, generation: number): Promise<boolean> {
  let isLifted = false;
  await portals.update(memberId, (portal) => {
    isLifted = portal?.oauth?.generation === generation && portal.suspension !== null;
    return portal && isLifted ? { ...portal, suspension: null } : undefined;
  });
  return isLifted;
}

export function isProbeDue({ probeAtMs: atMs }: Suspension, nowMs: number): boolean {
  return atMs !== null && atMs <= nowMs;
}

export function suspendedError(suspension: Suspension, nowMs: number, detail?: string): JobError {
  const waitMs = suspension.probeAtMs === null ? LOOK_AGAIN_MS : Math.max(1000, suspension.probeAtMs - nowMs);
  return new JobError('PORTAL_SUSPENDED', detail ?? suspension.reason, { retryAfterMs: waitMs });
}

function probeAtMs(reason: SuspensionReason, nowMs: number): number | null {
  const afterMs = PROBE_AFTER_MS[reason];
  return afterMs === null ? null : nowMs + afterMs;
}
