import { JobError } from '../../errors.js';
import type { JsonValue } from '../event.js';
import type { RestReply } from './rest-answer.js';
import type { RestCall, RestTransport } from './rest-transport.js';

/**
 * One call with an access token that came from outside: for a portal that has no record yet, or in the name of the person who opened
 * a page. Nothing is renewed, waited for or remembered. Gives the `result`.
 *
 * @throws {JobError} REST_HOST_REFUSED, REST_REFUSED, REST_UNAVAILABLE, REST_UNREACHABLE, REST_UNEXPECTED.
 */
export type CallAs = (call: RestCall) => Promise<JsonValue>;

export function createCallAs(transport: RestTransport): CallAs {
  return async (call) => resultOf(await transport.post(call));
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
      // The address is the one that the OAuth server gave just now, or that of the record: it will be mended there.
      throw new JobError('REST_UNAVAILABLE', 'moved');
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
