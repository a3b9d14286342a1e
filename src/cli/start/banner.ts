import { urlHost } from '../../shared/url-host.js';
import type { DemoPortal } from './demo-portal.js';

export interface BannerFacts {
  readonly apiHost: string;
  readonly apiPort: number;
  readonly eventsPath: string;
  readonly dataDir: string;
  /** Where Redis is, in words; an address that the user gave may hold a password, so it is not repeated. */
  readonly redis: string;
  /** Where events go on to, in words. */
  readonly forward: string;
  /** The user's own code that runs, in words. */
  readonly handlers: string;
  /** Where each process tells of itself, in words. */
  readonly health: string;
  readonly demoPortal: DemoPortal | undefined;
  /** Whether the simulator can install an app here. */
  readonly hasDemoApp: boolean;
  readonly nowMs: number;
}

/** What stands on the screen once everything runs. The command begins its line, so that the line can be copied as it is. */
export function bannerLines(facts: BannerFacts): readonly string[] {
  const url = ingressUrl(facts);
  return [
    '',
    `  ingress   ${url}  (listens on ${facts.apiHost}, port ${facts.apiPort})`,
    `  Redis     ${facts.redis}`,
    `  forward   ${facts.forward}`,
    `  handlers  ${facts.handlers}`,
    `  data      ${facts.dataDir}`,
    `  health    ${facts.health}  (/readyz, /metrics)`,
    '',
    `  ${introduction(facts.demoPortal)}`,
    '',
    curlCommand({ url, demoPortal: facts.demoPortal, nowMs: facts.nowMs }),
    '',
    '  Sent again as it is, it is the same event: accepted, then shown as a duplicate. Another ts= makes it a new one.',
    ...(facts.hasDemoApp ? TOUR : []),
    '  Ctrl-C stops everything, Redis last.',
    '',
  ];
}

/** In another window: the simulator waits for what it sent. */
const TOUR = [
  '',
  '  A Bitrix24 on this machine that installs the app, sends 1,000 events and looks what becomes of them, in another window:',
  '',
  'npx b24-events simulate --install',
  '',
];

function introduction(demoPortal: DemoPortal | undefined): string {
  if (demoPortal) {
    return 'APPLICATION_TOKENS is unset, so there is a portal "demo" with a token made for this run. Its first event:';
  }
  return 'An event to try; put one of your portals and its token in the place of <member_id> and <application_token>:';
}

function ingressUrl({ apiHost, apiPort, eventsPath }: IngressAddress): string {
  return `http://${urlHost(apiHost)}:${apiPort}${eventsPath}`;
}

interface IngressAddress {
  readonly apiHost: string;
  readonly apiPort: number;
  readonly eventsPath: string;
}

export interface CurlFacts {
  readonly url: string;
  readonly demoPortal: DemoPortal | undefined;
  readonly nowMs: number;
}

/**
 * One line that any shell takes. The body is encoded as PHP does it, brackets too, so nothing in it needs more than the
 * single quotes; `ts` is a plain number and no `$(date +%s)`, which not every shell would replace.
 */
export function curlCommand({ url, demoPortal, nowMs }: CurlFacts): string {
  const body = new URLSearchParams({
    event: 'ONIMCONNECTORMESSAGEADD',
    event_handler_id: '1',
    'data[CONNECTOR]': 'demo_connector',
    'data[LINE]': '1',
    'data[MESSAGES][0][im][chat_id]': '1807',
    'data[MESSAGES][0][im][message_id]': '86497',
    'data[MESSAGES][0][message][user_id]': '27',
    'data[MESSAGES][0][message][text]': 'Hello from an open channel',
    'data[MESSAGES][0][chat][id]': 'chat-1',
    ts: String(Math.floor(nowMs / 1000)),
    'auth[domain]': 'demo.bitrix24.com',
    'auth[server_endpoint]': 'https://oauth.bitrix24.tech/rest/',
    'auth[client_endpoint]': 'https://demo.bitrix24.com/rest/',
    'auth[member_id]': demoPortal?.memberId ?? 'MEMBER_ID',
    'auth[application_token]': demoPortal?.applicationToken ?? 'APPLICATION_TOKEN',
  }).toString();
  const shown = demoPortal
    ? body
    : body.replace('=MEMBER_ID', '=<member_id>').replace('=APPLICATION_TOKEN', '=<application_token>');
  return String.raw`curl -sS -w '\n' '${url}' -d '${shown}'`;
}
