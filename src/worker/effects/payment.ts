import type { PortalStore, Suspension } from '../../shared/portals.js';
import type { Effect } from './effect.js';

const PROBE_MS = 3_600_000;

/** An app whose payment ended is not called until it is paid again; what waits for the portal goes on then. */
export function paymentEffect(deps: { portals: Pick<PortalStore, 'update'>; now: () => number }): Effect {
  return {
    name: 'payment',
    wants: ({ kind }) => kind === 'ONAPPPAYMENT',
    async run({ event }) {
      if (event.kind !== 'ONAPPPAYMENT') return;
      const isExpired = event.payload.payment_expired === true;
      const now = deps.now();
      const ended: Suspension = { reason: 'payment', sinceMs: now, probeAtMs: now + PROBE_MS };
      await deps.portals.update(event.auth.memberId, (portal) => {
        // A dead refresh token is not mended by money.
        if (!portal || portal.suspension?.reason === 'reauthorize') return undefined;
        return { ...portal, suspension: isExpired ? (portal.suspension ?? ended) : null };
      });
    },
  };
}
