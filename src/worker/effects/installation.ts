import type { RestClient } from '../../shared/bitrix24/rest/portal-calls.js';
import type { Logger } from '../../shared/logger.js';
import { setUpPortal, type PortalPlan } from '../../shared/portal-setup.js';
import type { Installer } from '../installation/installer.js';
import { installationClaimOf } from '../installation/installation-claim.js';
import type { Effect } from './effect.js';

export interface InstallationEffectDeps {
  readonly installer: Pick<Installer, 'storeTokens'>;
  readonly rest: RestClient;
  /** What is bound and registered at the portal; undefined where PUBLIC_URL is not set. */
  plan(): Promise<PortalPlan | undefined>;
  readonly logger: Logger;
}

/**
 * Keeps the OAuth tokens that come with an installation or update, and binds the app's events, for those bound before are gone
 * after an update (https://apidocs.bitrix24.com/api-reference/events/event-bind.html). Doing it again does no harm.
 */
export function installationEffect(deps: InstallationEffectDeps): Effect {
  return {
    name: 'installation',
    wants: ({ kind }) => kind === 'ONAPPINSTALL' || kind === 'ONAPPUPDATE',
    async run({ delivery, secrets, eventId, signal }) {
      const claim = installationClaimOf(delivery, secrets);
      // Without an access token there is nothing to prove, and nobody in whose name to call.
      if (!claim) return;
      await deps.installer.storeTokens(claim, signal);
      const plan = await deps.plan();
      if (!plan) return;
      const { memberId } = claim;
      const calls = deps.rest.open({ memberId, runKey: `${eventId}.installation`, signal });
      const done = await setUpPortal(calls, plan);
      deps.logger.info({ event: 'portal.set_up', memberId, ...done }, 'events are bound, connectors registered');
    },
  };
}
