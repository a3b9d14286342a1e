import { Webhook } from 'standardwebhooks';
import { request, type Dispatcher } from 'undici';
import { forwardBody } from '../../shared/bitrix24/forward-body.js';
import { errorCode } from '../../shared/caught-error.js';
import { JobError, type JobErrorCode } from '../../shared/errors.js';
import type { Destination } from '../destination.js';
import type { Effect, EffectRun } from './effect.js';

/**
 * Sends a verified event on to FORWARD_URL, as Standard Webhooks 1.0 says (https://www.standardwebhooks.com), signed by its
 * reference library. Redirects are not followed: the address is the operator's choice, not the receiver's.
 */
export interface ForwardDeps {
  readonly url: string;
  /** `whsec_…`; while a secret is replaced there are two, and the receiver takes a signature of either. */
  readonly secrets: readonly string[];
  /** Names of events, in which `*` stands for any letters; none means all. */
  readonly events: readonly string[];
  readonly destination: Destination;
  readonly dispatcher: Dispatcher;
  readonly now: () => number;
}

/** What a receiver answers in its body does not matter; more of it than this is not read. */
const ANSWER_BYTES_MAX = 65_536;
const RETRY_AFTER_MS_MAX = 86_400_000;

const REFUSALS: ReadonlySet<number> = new Set([400, 410, 413, 415, 422]);
const UNAVAILABLE: ReadonlySet<number> = new Set([404, 408, 425, 429]);

export function forwardEffect(deps: ForwardDeps): Effect {
  const signers = deps.secrets.map((secret) => new Webhook(secret));
  const wanted = deps.events.map(toRegExp);
  return {
    name: 'forward',
    destination: deps.destination,
    wants: (event) => wanted.length === 0 || wanted.some((pattern) => pattern.test(event.name)),
    async run(run) {
      const answer = await post(deps, signers, run);
      if (answer.status >= 200 && answer.status < 300) return;
      const code = codeOf(answer.status);
      // Heard only where it says how long the receiver will be away: it uses no attempt, and must not become a loop.
      const waitMs = code === 'EFFECT_UNAVAILABLE' ? retryAfterMs(answer.retryAfter, deps.now()) : undefined;
      throw new JobError(code, `status ${answer.status}`, { retryAfterMs: waitMs });
    },
  };
}

async function post(
  deps: ForwardDeps,
  signers: readonly Webhook[],
  run: EffectRun,
): Promise<{ status: number; retryAfter: string | undefined }> {
  const body = forwardBody(run.event);
  const at = new Date(deps.now());
  try {
    const response = await request(deps.url, {
      method: 'POST',
      dispatcher: deps.dispatcher,
      signal: run.signal,
      body,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'b24-events',
        'webhook-id': run.eventId,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
        'webhook-signature': signers.map((signer) => signer.sign(run.eventId, at, body)).join(' '),
      },
    });
    // A 2xx counts when the whole answer has come: half of one may be a receiver that died in the middle of its work.
    await readAway(response.body);
    return { status: response.statusCode, retryAfter: [response.headers['retry-after']].flat()[0] };
  } catch (error) {
    if (run.signal.aborted) throw error;
    throw new JobError('EFFECT_UNREACHABLE', networkReason(error), { cause: error });
  }
}

async function readAway(body: AsyncIterable<Uint8Array>): Promise<void> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) return;
  }
}

function codeOf(status: number): JobErrorCode {
  if (REFUSALS.has(status)) return 'EFFECT_REFUSED';
  if (UNAVAILABLE.has(status) || status >= 500) return 'EFFECT_UNAVAILABLE';
  return status >= 300 && status < 400 ? 'EFFECT_REDIRECTED' : 'EFFECT_UNEXPECTED';
}

/** RFC 9110, section 10.2.3: whole seconds, or a date. */
function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const waitMs = /^\d{1,9}$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return waitMs > 0 ? Math.min(waitMs, RETRY_AFTER_MS_MAX) : undefined;
}

/** The code alone, `ECONNREFUSED` or `UND_ERR_SOCKET`: a message of the network may hold the address. */
function networkReason(error: unknown): string {
  return errorCode(error) ?? 'no answer';
}

function toRegExp(pattern: string): RegExp {
  const escaped = pattern.replaceAll(/[.*]/g, (character) => (character === '*' ? '.*' : '\\.'));
  return new RegExp(`^${escaped}$`);
}
