import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { errorCode, errorMessage } from '../../shared/caught-error.js';
import { StartError } from '../../shared/start-error.js';
import { wasAccepted, type Posted } from '../../simulator/event-poster.js';
import { DEFAULT_LINE } from '../../simulator/portal-state.js';
import type { SimulatedPortal } from '../../simulator/simulated-portal.js';
import type { ManyEvents } from '../../simulator/send-many.js';
import type { Simulator } from '../../simulator/start-simulator.js';

export interface TourDeps {
  readonly simulator: Simulator;
  readonly portals: readonly SimulatedPortal[];
  /** Where the app takes events in. */
  readonly url: string;
  /** What each portal sends; `count` is for all of them together. */
  readonly many: ManyEvents;
  /** How many messages customers write, of all portals together. */
  readonly customers: number;
  readonly timeoutMs: number;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
  readonly pace: TourPace;
}

export interface TourPace {
  /** An app that has not called for so long has registered what it registers. */
  readonly quietMs: number;
  /** How long what comes twice may still come after all has come once. */
  readonly settleMs: number;
}

export const TOUR_PACE: TourPace = { quietMs: 1000, settleMs: 2000 };

const REACH_TIMEOUT_MS = 5000;
const PROOF_WITHIN_MS = 30_000;
const BIND_WITHIN_MS = 5000;
const LOOK_EVERY_MS = 50;
const SAY_EVERY_MS = 5000;

/**
 * The whole life of an app in some portals: install, send, wait until all is answered, uninstall. What came of it is in the
 * simulator's report.
 *
 * @throws {StartError} where the app cannot be reached, or does not take the installation.
 */
export async function runTour(deps: TourDeps): Promise<void> {
  const { simulator, portals, say, pace } = deps;
  await requireReachable(deps.url);
  await installAll(deps);
  say(`sending ${deps.many.count} events`);
  await Promise.all([sendFrom(deps), writeFrom(deps)]);
  const { posts } = simulator.report();
  say(`${posts.accepted} of ${posts.sent} events were accepted; waiting for the answers by REST`);
  if (await allAnswered(deps)) await pause(pace.settleMs, deps.signal);
  const ends = await Promise.all(portals.map((portal) => portal.uninstall()));
  const refused = ends.find((posted) => !wasAccepted(posted));
  say(refused ? `the uninstallation was not accepted: ${describe(refused)}` : 'uninstalled');
}

async function requireReachable(url: string): Promise<void> {
  try {
    const answer = await request(new URL('/', url), { signal: AbortSignal.timeout(REACH_TIMEOUT_MS) });
    await answer.body.dump();
  } catch (error) {
    const reason = errorCode(error) ?? errorMessage(error);
    throw new StartError(`nothing answers at ${url} (${reason}): start the app first, by npm start, in another window`);
  }
}

/** An app that does not ask the OAuth server takes any installation for true, or waits for something that never comes. */
async function installAll({ portals, url, say, signal, pace }: TourDeps): Promise<void> {
  for (const portal of portals) {
    const posted = await portal.install({ eventsUrl: url });
    if (!wasAccepted(posted)) throw new StartError(`the app did not take the installation: ${describe(posted)}`);
  }
  const isProven = await until(() => portals.every(({ proofs }) => proofs > 0), PROOF_WITHIN_MS, signal);
  if (!isProven && !signal.aborted)
    throw new StartError(
      `the app did not ask the OAuth server about its installation within ${PROOF_WITHIN_MS / 1000} s: it must run with the B24_CLIENT_ID and B24_OAUTH_HOSTS of this simulator`,
    );
  // An app may bind nothing: the events then go to the address at which it was installed.
  await until(() => portals.every(({ state }) => state.handlers.length > 0), BIND_WITHIN_MS, signal);
  await until(() => portals.every((portal) => isQuiet(portal, pace)), BIND_WITHIN_MS, signal);
  for (const portal of portals) for (const id of portal.state.connectors.keys()) portal.switchLine(id, DEFAULT_LINE);
  const handlers = portals.reduce((count, { state }) => count + state.handlers.length, 0);
  say(`installed in ${portals.length} portal${portals.length === 1 ? '' : 's'}, ${handlers} event bindings`);
}

/** The app registers its connectors beside its handlers, one call after the other. */
function isQuiet({ calls }: SimulatedPortal, { quietMs }: TourPace): boolean {
  return Date.now() - (calls.at(-1)?.atMs ?? 0) > quietMs;
}

async function sendFrom({ portals, many, signal }: TourDeps): Promise<void> {
  const share = Math.floor(many.count / portals.length);
  const rest = many.count % portals.length;
  await Promise.all(
    portals.map((portal, index) =>
      portal.sendMany({
        ...many,
        count: share + (index < rest ? 1 : 0),
        ...(many.rate !== undefined && { rate: many.rate / portals.length }),
        seed: (many.seed ?? 1) + index,
        signal,
      }),
    ),
  );
}

/** One after the other in each portal: customers are many, and slow. */
async function writeFrom({ simulator, portals, customers, signal }: TourDeps): Promise<void> {
  const write = async ({ memberId, channel }: SimulatedPortal, first: number): Promise<void> => {
    for (let index = first; index < customers && !signal.aborted; index += portals.length)
      await simulator.messenger.write({ memberId, ...channel, chat: `customer-${index}`, text: `Question ${index}` });
  };
  await Promise.all(portals.map((portal, index) => write(portal, index)));
}

async function allAnswered({ simulator, timeoutMs, say, signal }: TourDeps): Promise<boolean> {
  let saidAtMs = Date.now();
  const isDone = (): boolean => {
    if (Date.now() - saidAtMs >= SAY_EVERY_MS) {
      saidAtMs = Date.now();
      const { expected, missing } = simulator.report().messages;
      say(`${expected - missing} of ${expected} are answered`);
    }
    return simulator.missing === 0;
  };
  return until(isDone, timeoutMs, signal);
}

/** Whether it came true in time. */
async function until(isTrue: () => boolean, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  const endsAtMs = Date.now() + timeoutMs;
  while (!isTrue()) {
    if (Date.now() > endsAtMs || signal.aborted) return false;
    await pause(LOOK_EVERY_MS, signal);
  }
  return true;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

function describe(posted: Posted): string {
  return posted.kind === 'answered' ? `status ${posted.status}` : posted.reason;
}
