import { JobError } from '../../errors.js';
import type { JsonValue } from '../event.js';
import type { HostRules } from './host-rules.js';
import { redirectedEndpoint } from './redirected-endpoint.js';
import type { RestReply } from './rest-answer.js';
import type { RestCall, RestTransport } from './rest-transport.js';

/**
 * One call with an access token that came from outside: for a portal that has no record yet, or in the name of the person who opened
 * a page. Nothing is renewed, waited for or remembered; a rename is followed once. Gives the `result`.
 *
 * @throws {JobError} REST_HOST_REFUSED, REST_REFUSED, REST_UNAVAILABLE, REST_UNREACHABLE, REST_UNEXPECTED; the reason of `signal`.
 */
export type CallAs = (call: RestCall) => Promise<JsonValue>;

export interface CallAsDeps {
  readonly transport: RestTransport;
  readonly rules: Pick<HostRules, 'portalEndpoint'>;
}

export function createCallAs({ transport, rules }: CallAsDeps): CallAs {
  return async (call) => {
    const reply = await transport.post(call);
    if (reply.kind !== 'moved') return resultOf(reply);
    const endpoint = redirectedEndpoint(rules, call.endpoint, reply.location);
    return resultOf(await transport.post({ ...call, endpoint }));
  };
}

function resultOf(reply: RestReply): JsonValue {
  switch (reply.kind) {
    case 'result':
      return reply.result;
    case 'renew':
    case 'never':
      throw new JobError('REST_REFUSED', reply.code);
    case 'limited':
    case 'method-limited':
    case 'later':
    case 'suspend':
      throw new JobError('REST_UNAVAILABLE', reply.code);
    case 'moved':
      throw new JobError('REST_UNEXPECTED', 'a second redirect');
    case 'unreachable':
      throw new JobError('REST_UNREACHABLE', reply.code);
    case 'unexpected':
      throw new JobError('REST_UNEXPECTED', reply.code);
    case 'host-refused':
      throw new JobError('REST_HOST_REFUSED', reply.code);
    default:
      return reply satisfies never;
  }
}
