import { PAYMENT_PROBE_MS } from '../../shared/bitrix24/rest/suspensions.js';
import type { PortalStore, Suspension } from '../../shared/portals.js';
import type { Effect } from './effect.js';

/** An app whose payment ended is not called until it is paid again; what waits for the portal goes on then. */
export function paymentEffect(deps: { portals: Pick<PortalStore, 'update'>; now: () => number }): Effect {
  return {
    name: 'payment',
    wants: ({ kind }) => kind === 'ONAPPPAYMENT',
    async run({ event }) {
      if (event.kind !== 'ONAPPPAYMENT') return;
      const isExpired = event.payload.payment_expired === true;
      const now = deps.now();
      const ended: Suspension = { reason: 'payment', sinceMs: now, probeAtMs: now + PAYMENT_PROBE_MS };
      await deps.portals.update(event.auth.memberId, (portal) => {
        // A dead refresh token is not mended by money.
        // Events overtake each other: the newest one counts.
        if (!portal || event.ts < portal.paymentTs) return undefined;
        const { suspension } = portal;
        if (suspension?.reason === 'reauthorize') return { ...portal, paymentTs: event.ts };
        return { ...portal, paymentTs: event.ts, suspension: isExpired ? (suspension ?? ended) : null };
      });
    },
  };
}
