import { textParam, upperCaseKeys, argumentFault } from './method-params.js';
import type { BoundHandler } from './portal-state.js';
import { RestFault, REST_FAULTS } from './rest-fault.js';
import type { MethodCall, RestMethods } from './rest-method.js';

/** https://apidocs.bitrix24.com/api-reference/events/ */
export const EVENT_METHODS: RestMethods = {
  'event.bind': bind,
  'event.unbind': unbind,
  'event.get': get,
  'event.test': test,
};

function bind({ params, portal, owner }: MethodCall): unknown {
  const fields = upperCaseKeys(params);
  const event = textParam(fields, 'EVENT').toUpperCase();
  const url = textParam(fields, 'HANDLER');
  const authType = Number(fields['AUTH_TYPE'] ?? 0);
  const isOffline = fields['EVENT_TYPE'] === 'offline';
  if (!/^ON[A-Z0-9_]{1,126}$/.test(event)) throw new RestFault(400, 'ERROR_EVENT_NOT_FOUND', 'Event not found');
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw argumentFault("Argument 'HANDLER' is no address");
  if (!owner.isAdmin && (isOffline || (authType !== 0 && authType !== owner.userId))) throw REST_FAULTS.accessDenied();
  if (portal.handlers.some((handler) => isSame(handler, { event, url, authType })))
    throw new RestFault(400, 'ERROR_CORE', 'Unable to set event handler: Handler already binded');
  portal.lastHandlerId += 2;
  portal.handlers.push({ id: portal.lastHandlerId, event, url, authType });
  return true;
}

/** Without parameters it takes all of them away. */
function unbind({ params, portal }: MethodCall): unknown {
  const fields = upperCaseKeys(params);
  const event = fields['EVENT'] === undefined ? undefined : textParam(fields, 'EVENT').toUpperCase();
  const url = event === undefined ? undefined : textParam(fields, 'HANDLER');
  const kept = portal.handlers.filter(
    (handler) => event !== undefined && (handler.event !== event || handler.url !== url),
  );
  const count = portal.handlers.length - kept.length;
  portal.handlers = kept;
  return { count };
}

/** The ids are not told: nobody can know them before the first event. */
function get({ portal }: MethodCall): unknown {
  return portal.handlers.map(({ event, url, authType }) => ({
    event,
    handler: url,
    auth_type: String(authType),
    offline: 0,
  }));
}

/** Sends what it is given back to the app, as an event with the portal's own application token. */
function test({ params, fire }: MethodCall): unknown {
  fire('ONAPPTEST', { QUERY: params, LANGUAGE_ID: 'en' });
  return 1;
}

function isSame(handler: BoundHandler, { event, url, authType }: Omit<BoundHandler, 'id'>): boolean {
  return handler.event === event && handler.url === url && handler.authType === authType;
}
