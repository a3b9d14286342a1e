import { Router, type Request, type Response } from 'express';
import { z } from 'zod';
import { errorMessage } from '../shared/caught-error.js';
import { installAndSettle } from './install-and-settle.js';
import type { SimulatorReport } from './report.js';
import type { SimulatedPortal } from './simulated-portal.js';

export interface ControlDeps {
  readonly portals: readonly SimulatedPortal[];
  readonly report: () => SimulatorReport;
}

const share = z.exactOptional(z.number().min(0).max(1));
const installation = z.strictObject({ eventsUrl: z.exactOptional(z.url()), page: z.exactOptional(z.url()) });
const oneEvent = z.strictObject({ event: z.string().min(1), data: z.unknown().optional() });
const placement = z.strictObject({ url: z.url(), connector: z.string(), line: z.int() });
const manyEvents = z.strictObject({
  count: z.int().min(1).max(1_000_000),
  events: z.exactOptional(z.array(z.string())),
  rate: z.exactOptional(z.number().positive()),
  burst: z.exactOptional(z.int().positive()),
  duplicates: share,
  sameSecondPairs: share,
  withoutTokens: share,
  forgeries: share,
  repeat: z.exactOptional(z.boolean()),
  seed: z.exactOptional(z.int()),
});

type Action = (portal: SimulatedPortal, body: unknown) => unknown;

const ACTIONS: ReadonlyMap<string, Action> = new Map<string, Action>([
  ['install', (portal, body) => installAndSettle(portal, installation.parse(body))],
  ['update', (portal) => portal.update()],
  ['uninstall', (portal) => portal.uninstall()],
  ['placement', (portal, body) => portal.openPlacement(placement.parse(body))],
  ['rename', (portal) => portal.rename().then(() => ({ host: portal.host }))],
  ['expire-access-tokens', (portal) => portal.expireAccessTokens()],
  ['kill-refresh-tokens', (portal) => portal.killRefreshTokens()],
  ['send', (portal, body) => portal.send(...argumentsOf(oneEvent.parse(body)))],
  ['send-many', (portal, body) => portal.sendMany(manyEvents.parse(body))],
]);

/**
 * Makes a simulator act that runs on its own: `POST /control/<action>` for the first portal, `?portal=1` for the second, and
 * `GET /control/report`.
 */
export function createControlRouter({ portals, report }: ControlDeps): Router {
  const router = Router();
  router.get('/control/report', (_request, response) => {
    response.json(report());
  });
  router.post('/control/:action', (request, response) => act(portals, request, response));
  return router;
}

async function act(portals: readonly SimulatedPortal[], request: Request, response: Response): Promise<void> {
  const action = ACTIONS.get(String(request.params['action']));
  const portal = portals[Number(request.query['portal'] ?? 0)];
  if (!action || !portal) {
    response
      .status(404)
      .json({ error: `expected one of ${[...ACTIONS.keys()].join(', ')}, and a portal that is there` });
    return;
  }
  // A page in the developer's browser can post to this address, but not with this type.
  if (!request.is('application/json')) {
    response.status(415).json({ error: 'expected the content type application/json' });
    return;
  }
  try {
    response.json({ result: (await action(portal, request.body)) ?? null });
  } catch (error) {
    response.status(400).json({ error: errorMessage(error) });
  }
}

function argumentsOf({ event, data }: z.infer<typeof oneEvent>): [event: string, data: unknown] {
  return [event, data];
}
