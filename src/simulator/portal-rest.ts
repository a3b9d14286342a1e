import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { errorMessage } from '../shared/caught-error.js';
import { callBatch } from './batch-call.js';
import { CONNECTOR_METHODS } from './connector-methods.js';
import { EVENT_METHODS } from './event-methods.js';
import { answerUnderFaults, type JsonAnswer } from './faults.js';
import { GENERAL_METHODS } from './general-methods.js';
import type { Params } from './method-params.js';
import { noteCall, type Cloud, type PortalState, type RestCall } from './portal-state.js';
import { isRestFault, REST_FAULTS, RestFault } from './rest-fault.js';
import type { MethodCall, RestMethods } from './rest-method.js';
import { timeBlock } from './time-block.js';
import type { TokenOwner } from './token-book.js';

const METHODS: RestMethods = { ...GENERAL_METHODS, ...EVENT_METHODS, ...CONNECTOR_METHODS };
const BODY_LIMIT = '16mb';
const PARAMETERS_MAX = 100_000;

export interface PortalRestDeps {
  readonly cloud: Cloud;
  readonly portal: PortalState;
  readonly fire: MethodCall['fire'];
}

/** The REST of one portal: `/rest/<method>`, and with `.json`, by POST or GET, the token in `auth`. */
export function createPortalRest(deps: PortalRestDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('query parser', 'extended');
  app.use(express.json({ limit: BODY_LIMIT }));
  app.use(express.urlencoded({ extended: true, limit: BODY_LIMIT, parameterLimit: PARAMETERS_MAX }));
  app.all('/rest/:method', (request, response) => serve(deps, request, response));
  app.use((_request: Request, response: Response) => {
    response.status(404).json({ error: 'NOT_FOUND', error_description: 'There is nothing at this address' });
  });
  // oxlint-disable-next-line max-params -- by their number Express tells a handler of errors
  app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
    response.status(400).json({ error: 'INVALID_REQUEST', error_description: errorMessage(error) });
  });
  return app;
}

async function serve(deps: PortalRestDeps, request: Request, response: Response): Promise<void> {
  const { portal, cloud } = deps;
  const method = String(request.params['method'])
    .replace(/\.json$/, '')
    .toLowerCase();
  const { auth, ...params } = { ...request.query, ...(request.body as Params | undefined) } as Params;
  const call = noteCall(portal, { method, params, atMs: cloud.now(), owner: null, isInBatch: false });
  const isWithinBucket = portal.bucket.take(call.atMs);
  await answerUnderFaults({
    faults: portal.faults,
    method,
    response,
    work: () => answer(deps, call, () => enter(deps, call, { auth, isWithinBucket })),
  });
  if (response.headersSent) call.status = response.statusCode;
}

/** What stands before every method, in the portal's order: budget, blocks, token, time of work. */
function enter(
  { cloud, portal }: PortalRestDeps,
  call: RestCall,
  { auth, isWithinBucket }: { auth: unknown; isWithinBucket: boolean },
): TokenOwner {
  if (!isWithinBucket) throw REST_FAULTS.queryLimit();
  if (portal.faults.refusal !== null) throw REST_FAULTS[portal.faults.refusal]();
  if (typeof auth !== 'string' || auth === '') throw REST_FAULTS.noAuth();
  const token = cloud.tokens.accessState(auth);
  if (token.kind === 'unknown' || token.owner.memberId !== portal.memberId) throw REST_FAULTS.invalidToken();
  call.owner = token.owner;
  if (token.kind === 'revoked') throw REST_FAULTS.noAuth();
  if (token.kind === 'expired') throw REST_FAULTS.expiredToken();
  return token.owner;
}

function answer(deps: PortalRestDeps, call: RestCall, admit: () => TokenOwner): JsonAnswer {
  const startedAtMs = deps.cloud.now();
  try {
    const owner = admit();
    const run = (inner: RestCall): unknown => runMethod(deps, inner, owner);
    const result =
      call.method === 'batch' ? callBatch({ params: call.params, run, portal: deps.portal, call }) : run(call);
    return { status: 200, body: { result, time: timeBlock(deps, call.method, startedAtMs) } };
  } catch (error) {
    const fault = faultOf(error);
    call.error = fault.code;
    return { status: fault.status, body: { error: fault.code, error_description: fault.description } };
  }
}

function runMethod({ cloud, portal, fire }: PortalRestDeps, call: RestCall, owner: TokenOwner): unknown {
  const method = Object.hasOwn(METHODS, call.method) ? METHODS[call.method] : undefined;
  if (!method) throw REST_FAULTS.noMethod();
  if (portal.operating.isOverLimit(call.method)) throw REST_FAULTS.operatingLimit();
  const startedAtMs = performance.now();
  const result = method({ params: call.params, owner, portal, cloud, fire });
  portal.operating.add(call.method, (performance.now() - startedAtMs) / 1000);
  return result;
}

function faultOf(error: unknown): RestFault {
  return isRestFault(error) ? error : new RestFault(500, 'ERROR_UNEXPECTED_ANSWER', errorMessage(error));
}
