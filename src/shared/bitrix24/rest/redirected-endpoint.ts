import { JobError } from '../../errors.js';
import type { HostRules } from './host-rules.js';

/**
 * The endpoint to which a renamed portal redirects (https://apidocs.bitrix24.com/settings/how-to-call-rest-api/change-domen.html).
 * Only its host is taken from `location`.
 *
 * @throws {JobError} REST_HOST_REFUSED; REST_UNEXPECTED where it is the one that was called.
 */
export function redirectedEndpoint(rules: Pick<HostRules, 'portalEndpoint'>, from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  const isPlain = to !== undefined && to.username === '' && to.password === '';
  const endpoint = isPlain ? rules.portalEndpoint(`${to.protocol}//${to.host}/rest/`) : undefined;
  if (!endpoint) throw new JobError('REST_HOST_REFUSED', 'a redirect');
  if (endpoint.href === from.href) throw new JobError('REST_UNEXPECTED', 'a redirect to itself');
  return endpoint;
}
