import type { BitrixEvent } from '../../shared/bitrix24/event.js';
import type { Logger } from '../../shared/logger.js';
import type { PortalStore } from '../../shared/portals.js';
import type { Effect } from './effect.js';

export interface UninstallationDeps {
  readonly portals: Pick<PortalStore, 'look' | 'remove'>;
  /** Deletes what is left of a portal; `isClean` as its user asked for it. */
  forget(memberId: string, options: { readonly isClean: boolean; readonly signal: AbortSignal }): Promise<void>;
  /** Has tokens in the environment, and outlives the removal of the app. */
  readonly isConfigured: (memberId: string) => boolean;
  readonly logger: Logger;
}

/** An installation by its page has the time of our clock, its removal that of the portal. */
const CLOCKS_APART_SECONDS = 60;

/**
 * Forgets a portal from which the app was removed. What was received before is cancelled from then on. Its tokens are dead anyway
 * and always deleted; what the app has kept of it only if the user asked for that (CLEAN).
 *
 * https://apidocs.bitrix24.com/api-reference/common/events/on-app-uninstall.html
 */
export function uninstallationEffect(deps: UninstallationDeps): Effect {
  return {
    name: 'uninstallation',
    wants: ({ kind }) => kind === 'ONAPPUNINSTALL',
    async run({ event, delivery, signal }) {
      const { memberId } = event.auth;
      const { portal, removal: earlier } = await deps.portals.look(memberId);
      const isClean = asksForClean(event) && !deps.isConfigured(memberId);
      const removal = { receivedAtMs: delivery.receivedAtMs, deliveryId: delivery.id, isClean };
      if (portal) {
        if (event.ts + CLOCKS_APART_SECONDS < portal.installedTs) {
          deps.logger.info({ event: 'portal.not_removed', memberId }, 'a removal of before its installation');
          return;
        }
        if (!(await deps.portals.remove(memberId, removal))) return;
        // What the environment alone knows has no record, and stays known. An earlier run may have ended between the two steps.
      } else if (earlier?.deliveryId !== delivery.id) return;
      await deps.forget(memberId, { isClean, signal });
      deps.logger.info({ event: 'portal.removed', memberId }, 'the app was removed there');
    },
  };
}

function asksForClean(event: BitrixEvent): boolean {
  return event.kind === 'ONAPPUNINSTALL' && event.payload.clean === true;
}
