import { setTimeout as sleep } from 'node:timers/promises';
import { JobError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import type { Portal, PortalOAuth, PortalStore } from '../../portals.js';
import type { JsonValue } from '../event.js';
import type { HostRules } from './host-rules.js';
import type { PortalCalls, RestClient, RestParams, RestRun } from './portal-calls.js';
import type { Renewals } from './renewals.js';
import type { Operating, RestReply, SuspensionReason } from './rest-answer.js';
import type { RestBudget } from './rest-budget.js';
import type { RestTransport } from './rest-transport.js';
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

type InstalledPortal = Portal & { readonly oauth: PortalOAuth };

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

/** Kinds of replies that only Bitrix24 gives: there is a portal at that address. */
const FROM_PORTAL: ReadonlySet<RestReply['kind']> = new Set([
  'result',
  'renew',
  'limited',
  'method-limited',
  'suspend',
  'never',
]);

export function createRestClient(deps: RestClientDeps): RestClient {
  return { open: (run) => new CallsOfRun(deps, run) };
}

class CallsOfRun implements PortalCalls {
  readonly #deps: RestClientDeps;
  readonly #run: RestRun;
  #paid = 0;
  #waitedMs = 0;

  constructor(deps: RestClientDeps, run: RestRun) {
    this.#deps = deps;
    this.#run = run;
  }

  async call(method: string, params: RestParams = {}): Promise<JsonValue> {
    const { memberId, signal } = this.#run;
    const call = { method, params };
    let portal = await this.#admit(call);
    let reply = await this.#send(portal, call);
    if (reply.kind === 'renew') {
      portal = installed(await this.#deps.renewals.renew(memberId, portal.oauth.generation, signal));
      await this.#pay(portal, method);
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
      const place = { memberId, isEnterprise, method, runKey, calls: this.#paid + 1, inPlaceMsMax };
      const answer = await this.#deps.budget.take(place);
      signal.throwIfAborted();
      if (answer.kind === 'go') break;
      if (answer.kind === 'later') throw new JobError('REST_BUDGET', undefined, { retryAfterMs: answer.ms });
      this.#waitedMs += answer.ms;
      await sleep(answer.ms, undefined, { signal });
    }
    this.#paid += 1;
  }

  async #send(portal: InstalledPortal, call: Call): Promise<RestReply> {
    const { rules, transport } = this.#deps;
    const endpoint = rules.portalEndpoint(portal.clientEndpoint);
    if (!endpoint) throw new JobError('REST_HOST_REFUSED', 'the address of the portal');
    const request = { ...call, accessToken: portal.oauth.accessToken, signal: this.#run.signal };
    const reply = await transport.post({ ...request, endpoint });
    if (reply.kind !== 'moved') return reply;
    const moved = this.#newEndpoint(endpoint, reply.location);
    await this.#pay(portal, call.method);
    const second = await transport.post({ ...request, endpoint: moved });
    if (FROM_PORTAL.has(second.kind)) await this.#remember(portal, moved);
    return second;
  }

  /** A portal that was renamed says so by a redirect (https://apidocs.bitrix24.com/settings/how-to-call-rest-api/change-domen.html). */
  #newEndpoint(from: URL, location: string): URL {
    const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
    const isPlain = to !== undefined && to.username === '' && to.password === '';
    const endpoint = isPlain ? this.#deps.rules.portalEndpoint(`${to.protocol}//${to.host}/rest/`) : undefined;
    if (!endpoint) throw new JobError('REST_HOST_REFUSED', 'a redirect');
    if (endpoint.href === from.href) throw new JobError('REST_UNEXPECTED', 'a redirect to itself');
    return endpoint;
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
        throw new JobError('REST_UNREACHABLE', reply.code);
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
    if (!suspension) return;
    await liftSuspension(this.#deps.portals, memberId, oauth.generation);
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
      : new JobError('REST_UNAVAILABLE', code, { retryAfterMs: METHOD_REST_MS });
  }
}

function installed(portal: Portal | undefined): InstalledPortal {
  if (!portal?.oauth) throw new JobError('PORTAL_NOT_INSTALLED');
  return { ...portal, oauth: portal.oauth };
}
