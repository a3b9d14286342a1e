import type { Request, Response } from 'express';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Config } from '../../shared/config.js';
import type { Sealer } from '../../shared/sealer.js';
import { answer, type Answer } from '../http-answer.js';
import { HttpError } from '../http-error.js';
import { parseInstallForm } from './install-form.js';
import { acceptance, toDelivery, type KeepDelivery, type NewDelivery } from '../keep-delivery.js';
import { pageAnswer, prefersJson } from './page-answer.js';
import { Html, html, type Page } from './page-html.js';
import { queryOf } from './portal-origin.js';
import { decodeBody, type ReceiveBody } from '../receive-body.js';
import { requirePost } from '../request-checks.js';

export interface InstallPageDeps {
  readonly config: Pick<Config, 'bodyDepthMax' | 'bodyParametersMax' | 'dedupBy' | 'b24ClientId'>;
  readonly sealer: Sealer;
  readonly receiveBody: ReceiveBody;
  readonly keepDelivery: KeepDelivery;
}

/** Each becomes a proof, which costs a call to the OAuth server. */
const POSTS_PER_ADDRESS = 30;
const WINDOW_SECONDS = 60;

/**
 * The installation page of the app: what the portal posts becomes a delivery like any other, and only when it is on disk does
 * the page tell Bitrix24 that the installation has ended.
 *
 * SENDER_IPS does not apply: it is the browser of an administrator that posts here, from anywhere.
 */
export function createInstallPage(deps: InstallPageDeps): (request: Request, response: Response) => Promise<void> {
  const limiter = new RateLimiterMemory({ points: POSTS_PER_ADDRESS, duration: WINDOW_SECONDS });
  return async (request, response) => {
    const arrivedAtMs = performance.now();
    const receivedAtMs = Date.now();
    requirePost(request);
    if (deps.config.b24ClientId === undefined) throw new HttpError('not_configured');
    await requireShare(limiter, request);
    await deps.receiveBody({ request, response }, async (body) => {
      const parsed = parseInstallForm(decodeBody(body, deps.config), queryOf(request), receivedAtMs);
      if (!parsed.ok) throw new HttpError('invalid_event', { issues: parsed.issues });
      const delivery = { ...toDelivery(deps, parsed.envelope, receivedAtMs), source: 'page' } as const;
      await deps.keepDelivery(delivery, arrivedAtMs);
      answer(response, acceptedAnswer(request, delivery));
    });
  };
}

/** A company behind one address may install an app in a few portals; nobody in thirty a minute. */
async function requireShare(limiter: RateLimiterMemory, { ip = '' }: Request): Promise<void> {
  try {
    await limiter.consume(ip);
  } catch (refusal) {
    throw refusal instanceof RateLimiterRes ? new HttpError('too_many_requests') : refusal;
  }
}

function acceptedAnswer(request: Request, delivery: NewDelivery): Answer {
  if (prefersJson(request)) return { status: 200, body: acceptance(delivery) };
  return pageAnswer(request, 200, FINISH);
}

const FINISH: Page = {
  title: 'Installing the app',
  content: html`<div id="finishing">
      <p>
        What Bitrix24 sent is stored. This page now tells Bitrix24 to finish the installation, and the app opens by
        itself.
      </p>
      <p class="note">
        Is this page still here after a minute? Reload your Bitrix24. If that does not help, install the app again.
      </p>
    </div>
    <div id="blocked" hidden>
      <p>
        <strong>The installation is not finished.</strong> Bitrix24 ends it by a script from
        <code>api.bitrix24.com</code>, and that did not load.
      </p>
      <p>Let your browser and your network load scripts from there, then install the app again. Nothing is lost.</p>
    </div>
    <noscript>
      <p>
        JavaScript is off in this browser, so the installation cannot end. Switch it on, then install the app again.
      </p>
    </noscript>`,
  script: new Html(
    `if (window.BX24) BX24.init(function () { BX24.installFinish(); });
    else for (const id of ['finishing', 'blocked']) document.getElementById(id).hidden = id === 'finishing'`,
  ),
};
