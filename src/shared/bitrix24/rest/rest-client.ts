import { setTimeout as sleep } from 'node:timers/promises';
import { JobError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import type { Portal, PortalStore } from '../../portals.js';
import type { JsonValue } from '../event.js';
import type { HostRules } from './host-rules.js';
import { installed, type InstalledPortal } from './installed-portal.js';
import type { PortalCalls, RestClient, RestParams, RestRun } from './portal-calls.js';
import { redirectedEndpoint } from './redirected-endpoint.js';
import type { Renewals } from './renewals.js';
import type { Operating, RestReply, SuspensionReason } from './rest-answer.js';
import type { RestBudget } from './rest-budget.js';
import type { RestTransport } from './rest-transport.js';
import { CallHabits } from './call-habits.js';
import { claimProbe, isProbeDue, liftSuspension, suspend, suspendedError } from './suspensions.js';

export interface RestClientDeps {
  readonly portals: PortalStore;
  readonly transport: RestTransport;
  readonly rules: Pick<HostRules, 'portalEndpoint'>;
  readonly budget: RestBudget;
  readonly renewals: Pick<Renewals, 'renew'>;
  readonly logger: Logger;
  readonly now: () => number;
}

interface Call {
  readonly method: string;
  readonly params: RestParams;
}

/** How long one call, and all calls of a run, may wait for the budget in their slot. */
const IN_PLACE_MS_MAX = 1000;
const RUN_IN_PLACE_MS_MAX = 10_000;
/** Of the 480 s in ten minutes after which a portal refuses a method (https://apidocs.bitrix24.com/limits.html). */
const OPERATING_SECONDS_MAX = 450;
const METHOD_REST_MS = 60_000;
/** When a run comes back to a portal that got other tokens meanwhile: what Bitrix24 said was not of those. */
const OTHER_TOKENS_MS = 60_000;

/** Kinds of replies that only Bitrix24 gives: there is a portal at that address. */
const FROM_PORTAL: ReadonlySet<RestReply['kind']> = new Set([
  'result',
  'renew',
  'limited',
  'method-limited',
  'suspend',
  'never',
]);

/** No connection, so nothing was sent. */
const NOT_CONNECTED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

export function createRestClient(deps: RestClientDeps): RestClient {
  const habits = new CallHabits();
  return { open: (run) => new CallsOfRun(deps, run, habits) };
}

class CallsOfRun implements PortalCalls {
  readonly #deps: RestClientDeps;
  readonly #run: RestRun;
  readonly #habits: CallHabits;
  #paid = 0;
  #waitedMs = 0;

  constructor(deps: RestClientDeps, run: RestRun, habits: CallHabits) {
    this.#deps = deps;
    this.#run = run;
    this.#habits = habits;
    habits.noteRun(run.runKey);
  }

  async call(method: string, params: RestParams = {}): Promise<JsonValue> {
    const { memberId, signal } = this.#run;
    const call = { method, params };
    let portal = await beforeSending(this.#admit(call));
    let reply = await this.#send(portal, call);
    if (reply.kind === 'renew') {
      // The portal has refused the call, so nothing of it was done.
      portal = installed(await beforeSending(this.#deps.renewals.renew(memberId, portal.oauth.generation, signal)));
      await beforeSending(this.#pay(portal, method));
      reply = await this.#send(portal, call);
    }
    return this.#conclude(portal, call, reply);
  }

  /** The record, once the portal may be called and the call is paid. */
  async #admit({ method }: Call): Promise<InstalledPortal> {
    const { portals, now } = this.#deps;
    const { memberId, signal } = this.#run;
    signal.throwIfAborted();
    const portal = installed(await portals.find(memberId));
    const { suspension } = portal;
    if (suspension && !isProbeDue(suspension, now())) throw suspendedError(suspension, now());
    await this.#pay(portal, method);
    if (suspension && !(await claimProbe(portals, memberId, now()))) throw suspendedError(suspension, now());
    return portal;
  }

  async #pay({ memberId, isEnterprise }: Portal, method: string): Promise<void> {
    const { signal, runKey } = this.#run;
    for (;;) {
      const leftMs = Math.max(0, RUN_IN_PLACE_MS_MAX - this.#waitedMs);
      const inPlaceMsMax = Math.min(IN_PLACE_MS_MAX, leftMs);
      const place = {
        memberId,
        isEnterprise,
        method,
        runKey,
        calls: this.#habits.placesFor(runKey, this.#paid + 1),
        inPlaceMsMax,
      };
      const answer = await this.#deps.budget.take(place);
      signal.throwIfAborted();
      if (answer.kind === 'go') break;
      if (answer.kind === 'later') throw new JobError('REST_BUDGET', undefined, { retryAfterMs: answer.ms });
      this.#waitedMs += answer.ms;
      await sleep(answer.ms, undefined, { signal });
    }
    this.#paid += 1;
    this.#habits.noteCalls(runKey, this.#paid);
  }

  async #send(portal: InstalledPortal, call: Call): Promise<RestReply> {
    const { rules, transport } = this.#deps;
    const endpoint = rules.portalEndpoint(portal.clientEndpoint);
    if (!endpoint) throw new JobError('REST_HOST_REFUSED', 'the address of the portal');
    const request = { ...call, accessToken: portal.oauth.accessToken, signal: this.#run.signal };
    const reply = await transport.post({ ...request, endpoint });
    if (reply.kind !== 'moved') return reply;
    const moved = redirectedEndpoint(rules, endpoint, reply.location);
    await this.#pay(portal, call.method);
    const second = await transport.post({ ...request, endpoint: moved });
    if (FROM_PORTAL.has(second.kind)) await this.#remember(portal, moved);
    return second;
  }

  async #remember({ memberId, clientEndpoint }: Portal, moved: URL): Promise<void> {
    await this.#deps.portals.update(memberId, (portal) =>
      portal?.clientEndpoint === clientEndpoint
        ? { ...portal, clientEndpoint: moved.href, domain: moved.host }
        : undefined,
    );
    this.#deps.logger.info({ event: 'portal.renamed', memberId, domain: moved.host }, 'the portal has another address');
  }

  async #conclude(portal: InstalledPortal, call: Call, reply: RestReply): Promise<JsonValue> {
    switch (reply.kind) {
      case 'result':
        await this.#noteSuccess(portal, call, reply.operating);
        return reply.result;
      case 'limited':
        throw await this.#afterLimit(portal, call, reply.code);
      case 'method-limited':
        throw await this.#afterMethodLimit(call, reply.code, reply.operating);
      case 'suspend':
        throw await this.#afterSuspension(portal, reply.reason, reply.code);
      case 'moved':
        throw new JobError('REST_UNEXPECTED', 'a second redirect');
      // With tokens that were renewed a moment ago.
      case 'renew':
      case 'unexpected':
        throw new JobError('REST_UNEXPECTED', reply.code);
      case 'later':
        throw new JobError('REST_UNAVAILABLE', reply.code);
      case 'never':
        throw new JobError('REST_REFUSED', reply.code);
      case 'unreachable':
        throw new JobError('REST_UNREACHABLE', reply.code, {
          isSent: NOT_CONNECTED.has(reply.code) ? false : undefined,
        });
      case 'host-refused':
        throw new JobError('REST_HOST_REFUSED', reply.code);
      default:
        return reply satisfies never;
    }
  }

  async #noteSuccess(portal: InstalledPortal, { method }: Call, operating: Operating | undefined): Promise<void> {
    const { memberId, suspension, oauth } = portal;
    if (operating && operating.seconds >= OPERATING_SECONDS_MAX)
      await this.#deps.budget.block(memberId, method, operating.resetInMs || METHOD_REST_MS);
    if (!suspension || !(await liftSuspension(this.#deps.portals, memberId, oauth.generation))) return;
    this.#deps.logger.info({ event: 'portal.resumed', memberId }, 'the portal can be called again');
  }

  /** Its bucket is full by what others call: this run goes to the end of the line, with all the calls it will make again. */
  async #afterLimit({ memberId, isEnterprise }: Portal, { method }: Call, code: string): Promise<JobError> {
    const { budget } = this.#deps;
    await budget.penalize(memberId, isEnterprise);
    const place = { memberId, isEnterprise, method, runKey: this.#run.runKey, calls: this.#paid, inPlaceMsMax: 0 };
    const answer = await budget.take(place);
    const retryAfterMs = answer.kind === 'go' ? IN_PLACE_MS_MAX : answer.ms;
    return new JobError('REST_BUDGET', code, { retryAfterMs });
  }

  async #afterMethodLimit(call: Call, code: string, operating: Operating | undefined): Promise<JobError> {
    const restMs = operating?.resetInMs || METHOD_REST_MS;
    await this.#deps.budget.block(this.#run.memberId, call.method, restMs);
    return new JobError('REST_BUDGET', code, { retryAfterMs: restMs });
  }

  async #afterSuspension(portal: InstalledPortal, reason: SuspensionReason, code: string): Promise<JobError> {
    const { portals, logger, now } = this.#deps;
    const { memberId, oauth } = portal;
    const after = await suspend(portals, { memberId, reason, generation: oauth.generation, nowMs: now() });
    if (portal.suspension?.reason !== reason)
      logger.warn({ event: 'portal.suspended', memberId, reason, code }, 'the portal cannot be called at present');
    return after?.suspension
      ? suspendedError(after.suspension, now(), code)
      : new JobError('REST_UNAVAILABLE', code, { retryAfterMs: OTHER_TOKENS_MS });
  }
}

/** Marks what failed before the call went out. */
async function beforeSending<Value>(work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof JobError)) throw error;
    const { code, detail, retryAfterMs } = error;
    throw new JobError(code, detail, { cause: error, retryAfterMs, isSent: false });
  }
}
