import { JobError } from '../../errors.js';
import type { Portal, PortalOAuth } from '../../portals.js';

/** One that can be called as the app: there are tokens of it. */
export type InstalledPortal = Portal & { readonly oauth: PortalOAuth };

/** @throws {JobError} PORTAL_NOT_INSTALLED, with `detail` where there is one. */
export function installed(portal: Portal | undefined, detail?: string): InstalledPortal {
  if (!portal?.oauth) throw new JobError('PORTAL_NOT_INSTALLED', detail);
  return { ...portal, oauth: portal.oauth };
}
