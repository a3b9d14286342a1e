import type { Express } from 'express';
import type { Config } from '../shared/config.js';
import type { Logger } from '../shared/logger.js';
import type { Sealer } from '../shared/sealer.js';
import { createAcceptEvent } from './accept-event.js';
import { createConnectorPage } from './pages/connector-page.js';
import type { ConnectorParts } from './pages/connector-parts.js';
import { HttpError } from './http-error.js';
import { createIncomingMessage } from './incoming-message.js';
import { createInstallPage } from './pages/install-page.js';
import { createKeepDelivery } from './keep-delivery.js';
import { refusalAnswer } from './pages/page-answer.js';
import { createReceiveBody } from './receive-body.js';
import { createRefuseRequest } from './refuse-request.js';
import type { SenderList } from './sender-list.js';

export interface RoutesDeps {
  readonly config: Pick<
    Config,
    | 'eventsPath'
    | 'bodyBytesMax'
    | 'bodyDepthMax'
    | 'bodyParametersMax'
    | 'dedupBy'
    | 'b24ClientId'
    | 'b24Connectors'
    | 'publicUrl'
    | 'incomingSecrets'
  >;
  readonly senders: Pick<SenderList, 'isAllowed'>;
  readonly journals: { append(text: string): Promise<void> };
  readonly sealer: Sealer;
  readonly logger: Logger;
  /** undefined where there is no app; its pages say so then. */
  readonly connectorParts: Omit<ConnectorParts, 'close'> | undefined;
  readonly inFlightBytesMax?: number;
  /** Of each REST call for a page. */
  readonly restTimeoutMs?: number;
  /** By which the tickets of pages run out. */
  readonly nowMs?: () => number;
}

/** All that can be posted. EVENTS_PATH cannot be any of the other paths. */
export function addRoutes(app: Express, given: RoutesDeps): void {
  const deps = { ...given, receiveBody: createReceiveBody(given), keepDelivery: createKeepDelivery(given) };
  app.all(deps.config.eventsPath, createAcceptEvent(deps));
  app.all('/incoming', createIncomingMessage(deps));
  const refuseAsPage = createRefuseRequest({ logger: deps.logger, answerOf: refusalAnswer });
  app.all('/install', createInstallPage(deps), refuseAsPage);
  const { connectorParts: parts } = deps;
  const connector = parts ? createConnectorPage({ ...deps, ...parts }) : NO_CONNECTOR_PAGE;
  app.all('/connector', connector.open, refuseAsPage);
  app.all('/connector/switch', connector.switch, refuseAsPage);
}

function refuseUnconfigured(): Promise<void> {
  return Promise.reject(new HttpError('not_configured'));
}

const NO_CONNECTOR_PAGE = { open: refuseUnconfigured, switch: refuseUnconfigured };
