import type { Express, Request, Response } from 'express';
import type { Config } from '../shared/config.js';
import type { Logger } from '../shared/logger.js';
import type { Sealer } from '../shared/sealer.js';
import type { Tracing } from '../shared/tracing/tracing.js';
import { createAcceptEvent } from './accept-event.js';
import { createConnectorPage } from './pages/connector-page.js';
import type { ConnectorParts } from './pages/connector-parts.js';
import { HttpError } from './http-error.js';
import { createIncomingMessage } from './incoming-message.js';
import type { IntakeMetrics } from './ingress-metrics.js';
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
  readonly metrics: IntakeMetrics;
  readonly tracing: Tracing;
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
  const { logger, metrics, tracing } = deps;
  app.all(deps.config.eventsPath, traced(tracing, 'POST /events', createAcceptEvent(deps)));
  app.all('/incoming', traced(tracing, 'POST /incoming', createIncomingMessage(deps)));
  const installPage = traced(tracing, 'POST /install', createInstallPage(deps));
  app.all('/install', installPage, createRefuseRequest({ logger, metrics, answerOf: refusalAnswer }));
  const refuseAsPage = createRefuseRequest({ logger, answerOf: refusalAnswer });
  const { connectorParts: parts } = deps;
  const connector = parts ? createConnectorPage({ ...deps, ...parts }) : NO_CONNECTOR_PAGE;
  app.all('/connector', connector.open, refuseAsPage);
  app.all('/connector/switch', connector.switch, refuseAsPage);
}

type Handler = (request: Request, response: Response) => Promise<void>;

/** Under a name that is ours: EVENTS_PATH may be a secret. */
function traced(tracing: Tracing, name: string, handle: Handler): Handler {
  return (request, response) => tracing.inSpan({ name, kind: 'server' }, () => handle(request, response));
}

function refuseUnconfigured(): Promise<void> {
  return Promise.reject(new HttpError('not_configured'));
}

const NO_CONNECTOR_PAGE = { open: refuseUnconfigured, switch: refuseUnconfigured };
