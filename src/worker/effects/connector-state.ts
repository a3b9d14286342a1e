import type { BitrixEvent } from '../../shared/bitrix24/event.js';
import type { ConnectorChange, ConnectorStates } from '../../shared/connector-states.js';
import type { Effect } from './effect.js';

/** Keeps in mind which connectors are on: off by a deletion, on again by a later message or dialog. */
export function connectorStateEffect(states: ConnectorStates): Effect {
  return {
    name: 'connector-state',
    wants: (event) => changeOf(event) !== undefined,
    async run({ event }) {
      const change = changeOf(event);
      if (change) await states.note(event.auth.memberId, change);
    },
  };
}

function changeOf(event: BitrixEvent): ConnectorChange | undefined {
  const { ts } = event;
  switch (event.kind) {
    case 'ONIMCONNECTORMESSAGEADD':
    case 'ONIMCONNECTORMESSAGEUPDATE':
    case 'ONIMCONNECTORMESSAGEDELETE':
    case 'ONIMCONNECTORDIALOGSTART':
    case 'ONIMCONNECTORDIALOGFINISH':
      return { connector: event.payload.connector, line: event.payload.line, state: 'on', ts };
    case 'ONIMCONNECTORSTATUSDELETE':
      return { connector: event.payload.connector, line: event.payload.line, state: 'off', ts };
    case 'ONIMCONNECTORLINEDELETE':
      return { line: event.payload.line, state: 'off', ts };
    case 'ONAPPUNINSTALL':
      return { state: 'off', ts };
    case 'ONAPPINSTALL':
    case 'ONAPPUPDATE':
    case 'ONAPPPAYMENT':
    case 'OTHER':
      return undefined;
    default:
      return event satisfies never;
  }
}
