import { setTimeout as sleep } from 'node:timers/promises';
import type { PortalCalls } from '../../shared/bitrix24/rest/portal-calls.js';
import { errorMessage } from '../../shared/caught-error.js';
import { ECHO_FIELD, type Echoes } from '../../shared/echoes.js';
import { fail, ok, type Finding } from './finding.js';
import type { Listener } from '../../shared/portal-setup.js';

export interface EchoLook {
  readonly memberId: string;
  /** Calls with a time limit that begins now. */
  readonly open: () => PortalCalls;
  /** The same, after a signal too: for what must be put back. */
  readonly openToCleanUp: () => PortalCalls;
  readonly listeners: readonly Listener[];
  readonly handlerUrl: string;
  readonly echoes: Pick<Echoes, 'begin' | 'isHeard'>;
  readonly signal: AbortSignal;
  readonly echoTimeoutMs: number;
}

const TEST = 'ONAPPTEST';
const LOOK_EVERY_MS = 200;

/** Has the portal send an event, which goes the way of all events: PUBLIC_URL, ingress, journal, queue, worker. */
export async function lookAtEcho(look: EchoLook): Promise<Finding> {
  const { listeners, handlerUrl, open, openToCleanUp } = look;
  const binding = { event: TEST, handler: handlerUrl };
  const isBound = listeners.some(({ event, handler }) => event === TEST && handler === handlerUrl);
  try {
    if (!isBound) await open().call('event.bind', binding);
    return await echo(look);
  } catch (error) {
    return fail(
      'echo',
      `event.test cannot be asked for: ${errorMessage(error)}`,
      'docs/failures.md has each of these codes',
    );
  } finally {
    // As it was before. Where that fails the portal has one binding more, which the next look finds and uses.
    if (!isBound)
      await openToCleanUp()
        .call('event.unbind', binding)
        .catch(() => undefined);
  }
}

async function echo({ memberId, open, echoes, signal, echoTimeoutMs }: EchoLook): Promise<Finding> {
  const word = await echoes.begin(memberId);
  const startedMs = performance.now();
  await open().call('event.test', { [ECHO_FIELD]: word });
  while (performance.now() - startedMs < echoTimeoutMs) {
    if (await echoes.isHeard(memberId, word)) return ok('echo', `an event came back in ${inSeconds(startedMs)} s`);
    await sleep(LOOK_EVERY_MS, undefined, { signal });
  }
  return fail(
    'echo',
    `an event that the portal was asked to send has not come back within ${echoTimeoutMs / 1000} s`,
    'look in this order: does PUBLIC_URL lead to the ingress from outside, does its log say delivery.accepted, does a worker run',
  );
}

function inSeconds(startedMs: number): string {
  return ((performance.now() - startedMs) / 1000).toFixed(1);
}
