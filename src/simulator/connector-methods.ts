import {
  listParam,
  mapIn,
  mapParam,
  numberParam,
  textParam,
  upperCaseKeys,
  argumentFault,
  type Params,
} from './method-params.js';
import { noteIncoming, type ConnectorLine, type PortalState, type RegisteredConnector } from './portal-state.js';
import type { MethodCall, RestMethods } from './rest-method.js';
import { RestFault } from './rest-fault.js';

/** https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/ */
export const CONNECTOR_METHODS: RestMethods = {
  'imconnector.register': register,
  'imconnector.unregister': unregister,
  'imconnector.activate': activate,
  'imconnector.status': status,
  'imconnector.list': list,
  'imconnector.connector.data.set': setData,
  'imconnector.send.status.delivery': confirmDelivery,
  'imconnector.send.status.reading': confirmReading,
  'imconnector.send.messages': sendMessages,
  'imconnector.update.messages': changeMessages,
  'imconnector.delete.messages': changeMessages,
  'imconnector.chat.name.set': nameChat,
};

function register({ params, portal }: MethodCall): unknown {
  const fields = upperCaseKeys(params);
  const id = textParam(fields, 'ID').toLowerCase();
  if (!/^[a-z0-9_]+$/.test(id)) throw argumentFault("Argument 'ID' may hold digits, a-z and _ only");
  const name = textParam(fields, 'NAME');
  textParam(mapParam(fields, 'ICON'), 'DATA_IMAGE');
  const placementHandler = textParam(fields, 'PLACEMENT_HANDLER');
  const lines = portal.connectors.get(id)?.lines ?? new Map<number, ConnectorLine>();
  portal.connectors.set(id, { id, name, placementHandler, lines });
  return { result: true };
}

function unregister({ params, portal }: MethodCall): unknown {
  const id = textParam(upperCaseKeys(params), 'ID').toLowerCase();
  if (portal.connectors.delete(id)) return { result: true };
  return { result: false, error: 'APPLICATION_UNREGISTRATION_ERROR', error_description: 'The connector is unknown' };
}

function activate({ params, portal }: MethodCall): unknown {
  const fields = upperCaseKeys(params);
  const { connector, line } = requireConnector(portal, fields);
  const flag = fields['ACTIVE'];
  // Any value that PHP does not take for empty switches it on.
  const isActive = flag !== undefined && flag !== null && flag !== '' && flag !== '0' && flag !== 0 && flag !== false;
  connector.lines.set(line, { isActive, data: connector.lines.get(line)?.data ?? null });
  return true;
}

function status({ params, portal }: MethodCall): unknown {
  const fields = upperCaseKeys(params);
  const id = textParam(fields, 'CONNECTOR').toLowerCase();
  const line = Number(fields['LINE'] ?? 0);
  const isActive = portal.connectors.get(id)?.lines.get(line)?.isActive === true;
  return { LINE: line, CONNECTOR: id, ERROR: false, CONFIGURED: isActive, STATUS: isActive };
}

function list({ portal }: MethodCall): unknown {
  return Object.fromEntries([...portal.connectors.values()].map(({ id, name }) => [id, name]));
}

function setData({ params, portal }: MethodCall): unknown {
  const fields = upperCaseKeys(params);
  const { connector, line } = requireConnector(portal, fields);
  const isActive = connector.lines.get(line)?.isActive === true;
  connector.lines.set(line, { isActive, data: mapParam(fields, 'DATA') });
  return true;
}

function confirmDelivery({ params, portal, cloud }: MethodCall): unknown {
  const fields = upperCaseKeys(params);
  requireConnector(portal, fields);
  const messages = listParam(fields, 'MESSAGES').map((message) => ({
    ...message,
    externalIds: externalIdsOf(message),
  }));
  for (const message of messages) {
    const im = mapIn(message, 'im');
    cloud.ledger.confirm({
      memberId: portal.memberId,
      messageId: Number(im['message_id']),
      imChatId: Number(im['chat_id']),
      chatId: String(mapIn(message, 'chat')['id']),
      externalIds: message.externalIds,
    });
  }
  return { SUCCESS: true, DATA: [] };
}

/** A list, also where there is one id only. */
function externalIdsOf(message: Params): readonly string[] {
  const ids = mapIn(message, 'message')['id'];
  if (typeof ids !== 'object' || ids === null) throw argumentFault("Argument 'MESSAGES[message][id]' is no array");
  return Object.values(ids).map(String);
}

function confirmReading({ params, portal }: MethodCall): unknown {
  const fields = upperCaseKeys(params);
  requireConnector(portal, fields);
  listParam(fields, 'MESSAGES');
  return true;
}

/** Each message has a success of its own, and the answer is 200 where all of them failed. */
function sendMessages({ params, portal, cloud }: MethodCall): unknown {
  const fields = upperCaseKeys(params);
  const { connector, line } = requireConnector(portal, fields);
  const isActive = connector.lines.get(line)?.isActive === true;
  const results = listParam(fields, 'MESSAGES').map((message) => {
    const said = { user: mapIn(message, 'user')['id'], message: message['message'], chat: message['chat'] };
    if (!isActive) return { ...said, SUCCESS: false, ERRORS: [{ code: 'NOT_ACTIVE_LINE', message: 'Line is off' }] };
    noteIncoming(portal, { connector: connector.id, line, message, atMs: cloud.now() });
    cloud.ledger.arriveIncoming(String(mapIn(message, 'message')['id']));
    return { ...said, SUCCESS: true, session: { ID: String(cloud.ledger.nextId()), CHAT_ID: '1807' } };
  });
  return { SUCCESS: true, DATA: { RESULT: results } };
}

function changeMessages({ params, portal }: MethodCall): unknown {
  const fields = upperCaseKeys(params);
  requireConnector(portal, fields);
  const results = listParam(fields, 'MESSAGES').map((message) => {
    textParam(mapIn(message, 'message'), 'id');
    return { ...message, SUCCESS: true };
  });
  return { SUCCESS: true, DATA: { RESULT: results } };
}

function nameChat({ params, portal }: MethodCall): unknown {
  const fields = upperCaseKeys(params);
  requireConnector(portal, fields);
  textParam(fields, 'CHAT_ID');
  textParam(fields, 'NAME');
  return { SUCCESS: true, DATA: { RESULT: [{ SUCCESS: true }] } };
}

/** The connector must be one of the app's, in this portal. */
function requireConnector(portal: PortalState, fields: Params): { connector: RegisteredConnector; line: number } {
  const id = textParam(fields, 'CONNECTOR').toLowerCase();
  const line = numberParam(fields, 'LINE');
  const connector = portal.connectors.get(id);
  if (!connector)
    throw new RestFault(400, 'IMCONNECTOR_NO_CORRECT_PROVIDER', 'Could not find a suitable provider for the connector');
  return { connector, line };
}
