import type { Request, Response } from 'express';
import type { CallAs } from '../../shared/bitrix24/rest/call-as.js';
import { errorMessage } from '../../shared/caught-error.js';
import type { Config } from '../../shared/config.js';
import type { ConnectorStates } from '../../shared/connector-states.js';
import { HTTP_ERRORS } from '../../shared/errors.js';
import type { Logger } from '../../shared/logger.js';
import type { Portal, PortalStore } from '../../shared/portals.js';
import { matchesAny, secretDigest } from '../../shared/secret-digest.js';
import type { Sealer } from '../../shared/sealer.js';
import { ConnectorCalls, type ConnectorPlace } from './connector-calls.js';
import { parseConnectorForm, parseSwitchForm, type ConnectorForm, type FormResult } from './connector-form.js';
import { ConnectorRefusal } from './connector-refusal.js';
import { openTicket, sealTicket } from './connector-ticket.js';
import { connectorPage } from './connector-view.js';
import { answer } from '../http-answer.js';
import { HttpError } from '../http-error.js';
import { pageAnswer, prefersJson } from './page-answer.js';
import type { Page } from './page-html.js';
import { decodeBody, type Exchange, type ReceiveBody } from '../receive-body.js';
import { asJson } from '../refuse-request.js';
import { requirePost } from '../request-checks.js';

export interface ConnectorPageDeps {
  readonly config: Pick<Config, 'bodyDepthMax' | 'bodyParametersMax' | 'publicUrl' | 'b24Connectors'>;
  readonly portals: Pick<PortalStore, 'find'>;
  readonly states: Pick<ConnectorStates, 'note'>;
  readonly callAs: CallAs;
  readonly sealer: Sealer;
  readonly logger: Logger;
  readonly receiveBody: ReceiveBody;
  readonly restTimeoutMs?: number;
  readonly nowMs?: () => number;
}

type Handler = (request: Request, response: Response) => Promise<void>;

const REST_TIMEOUT_MS = 10_000;

/**
 * The page that a portal opens in the settings of a connector, where an administrator switches it on or off for one open channel.
 *
 * Anybody can post here, so nothing is asked of the portal before its application token was found right, and nothing is shown
 * before the portal itself has said that the person is an administrator. What the page may then do is sealed into its form: the
 * second request needs no session, and cannot be made up by another site. SENDER_IPS does not apply: browsers post here.
 */
export function createConnectorPage(deps: ConnectorPageDeps): { readonly open: Handler; readonly switch: Handler } {
  return {
    open: createHandler(deps, (exchange) => openPage(deps, exchange)),
    switch: createHandler(deps, (exchange) => switchConnector(deps, exchange)),
  };
}

function createHandler({ logger }: ConnectorPageDeps, show: (exchange: Exchange) => Promise<Page>): Handler {
  return async (request, response) => {
    requirePost(request);
    try {
      answer(response, pageAnswer(request, 200, await show({ request, response })));
    } catch (error) {
      if (!(error instanceof ConnectorRefusal)) throw error;
      const { code, reason, page } = error;
      logger.info({ event: 'connector.refused', code, ...(reason !== undefined && { reason }) }, 'refused');
      answer(response, prefersJson(request) ? asJson(error) : pageAnswer(request, HTTP_ERRORS[code].status, page));
    }
  };
}

async function openPage(deps: ConnectorPageDeps, exchange: Exchange): Promise<Page> {
  const form = await readForm(deps, exchange, parseConnectorForm);
  const { memberId, accessToken, connector, line } = form;
  const portal = await findPortal(deps, memberId);
  if (!portal || !isCurrentToken(portal, form.applicationToken)) throw new ConnectorRefusal('not_recognised');
  const calls = callsTo(deps, portal, accessToken);
  if (!(await calls.isAdmin())) throw new ConnectorRefusal('not_admin');
  const place = placeOf(deps, form);
  const state = await calls.readState(place);
  const ticket = sealTicket(deps.sealer, { accessToken, connector, line }, { memberId, nowMs: nowMs(deps) });
  return connectorPage({ place, state, memberId, ticket, action: 'connector/switch', request: exchange.request });
}

async function switchConnector(deps: ConnectorPageDeps, exchange: Exchange): Promise<Page> {
  const { memberId, ticket, state } = await readForm(deps, exchange, parseSwitchForm);
  const opened = openTicket(deps.sealer, ticket, { memberId, nowMs: nowMs(deps) });
  if (!opened) throw new ConnectorRefusal('ticket_invalid');
  const portal = await findPortal(deps, memberId);
  if (!portal) throw new ConnectorRefusal('not_recognised');
  const calls = callsTo(deps, portal, opened.accessToken);
  const place = placeOf(deps, opened);
  await calls.activate(place, state);
  await note(deps, { memberId, place, state });
  // After the note: a connector that is on without its name works, and a second try gives it one.
  if (state === 'on') await calls.describe(place);
  return connectorPage({ place, state, memberId, ticket, action: 'switch', request: exchange.request });
}

/** Its share of the bytes in flight is not held while the portal is asked. */
async function readForm<Form>(
  { receiveBody, config }: ConnectorPageDeps,
  exchange: Exchange,
  parse: (decoded: unknown) => FormResult<Form>,
): Promise<Form> {
  const parsed = await receiveBody(exchange, (body) => parse(decodeBody(body, config)));
  if (!parsed.ok) throw new HttpError('invalid_event', { issues: parsed.issues });
  return parsed.form;
}

async function findPortal({ portals }: ConnectorPageDeps, memberId: string): Promise<Portal | undefined> {
  try {
    return await portals.find(memberId);
  } catch (error) {
    throw new ConnectorRefusal('not_available', errorMessage(error));
  }
}

/** Only the token that holds now: one that was replaced opens nothing. Hashes are of one length, whatever the tokens are. */
function isCurrentToken({ applicationTokens }: Portal, token: string): boolean {
  const current = applicationTokens.filter(({ receivedBeforeMs }) => receivedBeforeMs === null);
  return matchesAny(
    secretDigest(token),
    current.map((known) => secretDigest(known.token)),
  );
}

function callsTo(deps: ConnectorPageDeps, { clientEndpoint }: Portal, accessToken: string): ConnectorCalls {
  if (clientEndpoint === null) throw new ConnectorRefusal('not_recognised', 'the portal was never proven');
  const timeoutMs = deps.restTimeoutMs ?? REST_TIMEOUT_MS;
  return new ConnectorCalls({ callAs: deps.callAs, endpoint: clientEndpoint, accessToken, timeoutMs });
}

function placeOf(
  { config }: ConnectorPageDeps,
  { connector, line }: Pick<ConnectorForm, 'connector' | 'line'>,
): ConnectorPlace {
  const definition = config.b24Connectors.find(({ id }) => id === connector);
  return { connector, line, name: definition?.name ?? connector, url: config.publicUrl };
}

async function note(
  deps: ConnectorPageDeps,
  change: { readonly memberId: string; readonly place: ConnectorPlace; readonly state: 'on' | 'off' },
): Promise<void> {
  const { memberId, state } = change;
  const { connector, line } = change.place;
  try {
    await deps.states.note(memberId, { connector, line, state, ts: Math.floor(nowMs(deps) / 1000) });
  } catch (error) {
    throw new ConnectorRefusal('not_available', errorMessage(error));
  }
  deps.logger.info({ event: 'connector.switched', memberId, connector, line, state }, `switched ${state}`);
}

function nowMs(deps: ConnectorPageDeps): number {
  return deps.nowMs?.() ?? Date.now();
}
