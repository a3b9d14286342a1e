import { createHash, randomBytes } from 'node:crypto';
import type { EventLedger } from './event-ledger.js';
import type { EventPoster } from './event-poster.js';
import { Faults } from './faults.js';
import { forgetOldestItems } from './forget-oldest.js';
import { ENTERPRISE_BUCKET, LeakyBucket, ORDINARY_BUCKET, type BucketSize } from './leaky-bucket.js';
import { OperatingTimes } from './operating-times.js';
import type { TokenBook, TokenOwner } from './token-book.js';

/** What all portals of a simulator have in common. */
export interface Cloud {
  readonly clientId: string;
  readonly clientSecret: string;
  /** `127.0.0.1:41000`, where the OAuth server and the messenger are. */
  readonly host: string;
  /** Under which the app reaches all of them, where it runs on another machine. */
  readonly hostname?: string | undefined;
  readonly now: () => number;
  readonly tokens: TokenBook;
  readonly ledger: EventLedger;
  readonly poster: EventPoster;
}

export interface PortalOptions {
  readonly memberId?: string;
  /** The port of its REST; a free one by default. */
  readonly port?: number;
  /** 5 calls a second and 250 at once, in the place of 2 and 50. */
  readonly isEnterprise?: boolean;
  /** In the place of what the plan allows. */
  readonly bucket?: BucketSize;
  /** Registered from the start, as by an earlier version of the app, and switched on for line 1. */
  readonly connectors?: readonly string[];
}

export interface BoundHandler {
  /** What the events carry as `event_handler_id`. */
  readonly id: number;
  /** In upper case. */
  readonly event: string;
  readonly url: string;
  /** Whose tokens the events carry; 0 for those of whoever acted. */
  readonly authType: number;
}

export interface RestCall {
  readonly method: string;
  /** Without the token. */
  readonly params: Readonly<Record<string, unknown>>;
  /** When it arrived. */
  readonly atMs: number;
  /** 0 until it is answered. */
  status: number;
  /** Bitrix24's code where it was refused. */
  error: string | null;
  /** null where the token is none of this portal's. */
  owner: TokenOwner | null;
  readonly isInBatch: boolean;
}

export interface ConnectorLine {
  isActive: boolean;
  /** What `imconnector.connector.data.set` put there. */
  data: unknown;
}

export interface RegisteredConnector {
  readonly id: string;
  readonly name: string;
  readonly placementHandler: string;
  readonly lines: Map<number, ConnectorLine>;
}

/** A customer's message as `imconnector.send.messages` brought it in. */
export interface IncomingMessage {
  readonly connector: string;
  readonly line: number;
  readonly message: Readonly<Record<string, unknown>>;
  readonly atMs: number;
}

/** All that one portal is; what it does is in the modules beside this one. */
export interface PortalState {
  readonly memberId: string;
  readonly isEnterprise: boolean;
  readonly admin: PortalUser;
  readonly employee: PortalUser;
  readonly faults: Faults;
  readonly bucket: LeakyBucket;
  readonly operating: OperatingTimes;
  readonly calls: RestCall[];
  readonly connectors: Map<string, RegisteredConnector>;
  readonly incoming: IncomingMessage[];
  handlers: BoundHandler[];
  lastHandlerId: number;
  applicationToken: string;
  /** `127.0.0.1:41234`; another one after a rename. */
  host: string;
  /** Where its events go that no handler is bound for. */
  eventsUrl: string | null;
  isInstalled: boolean;
  version: number;
  renewals: number;
  proofs: number;
}

export interface PortalUser {
  readonly id: number;
  readonly isAdmin: boolean;
  readonly name: string;
}

/** The connector of messages where nobody names another one. */
export const DEFAULT_CONNECTOR = 'simulated_messenger';
export const DEFAULT_LINE = 1;

export function createPortalState(cloud: Cloud, options: PortalOptions, host: string): PortalState {
  const plan = options.isEnterprise === true ? ENTERPRISE_BUCKET : ORDINARY_BUCKET;
  const state: PortalState = {
    memberId: options.memberId ?? randomBytes(16).toString('hex'),
    isEnterprise: options.isEnterprise === true,
    admin: { id: 1, isAdmin: true, name: 'Ada' },
    employee: { id: 27, isAdmin: false, name: 'Klaus' },
    faults: new Faults(),
    bucket: new LeakyBucket(options.bucket ?? plan),
    operating: new OperatingTimes(cloud.now),
    calls: [],
    connectors: new Map(),
    incoming: [],
    handlers: [],
    lastHandlerId: 553,
    applicationToken: newApplicationToken(),
    host,
    eventsUrl: null,
    isInstalled: false,
    version: 1,
    renewals: 0,
    proofs: 0,
  };
  for (const id of options.connectors ?? [DEFAULT_CONNECTOR]) {
    const lines = new Map([[DEFAULT_LINE, { isActive: true, data: null }]]);
    state.connectors.set(id, { id, name: id, placementHandler: '', lines });
  }
  return state;
}

/** Older ones are forgotten. */
const CALLS_MAX = 200_000;
const INCOMING_MAX = 20_000;

/** A call that has arrived, and is not answered yet. */
export function noteCall(state: PortalState, arrived: Omit<RestCall, 'status' | 'error'>): RestCall {
  const call: RestCall = { ...arrived, status: 0, error: null };
  state.calls.push(call);
  forgetOldestItems(state.calls, CALLS_MAX);
  return call;
}

export function noteIncoming(state: PortalState, message: IncomingMessage): void {
  state.incoming.push(message);
  forgetOldestItems(state.incoming, INCOMING_MAX);
}

/** 32 hexadecimal digits, as Bitrix24 makes them of what only it knows. */
export function newApplicationToken(): string {
  return createHash('md5').update(randomBytes(32)).digest('hex');
}

export function clientEndpointOf(state: PortalState): string {
  return `http://${state.host}/rest/`;
}

export function serverEndpointOf(cloud: Cloud): string {
  return `http://${cloud.host}/rest/`;
}

export function ownerOf(cloud: Cloud, state: PortalState, user: PortalUser): TokenOwner {
  return { memberId: state.memberId, userId: user.id, isAdmin: user.isAdmin, clientId: cloud.clientId };
}

export const APP_SCOPE = 'imconnector,imopenlines';
/** Of a subscription; https://apidocs.bitrix24.com/api-reference/common/system/app-info.html has the others. */
export const APP_STATUS = 'F';

export interface Channel {
  readonly connector: string;
  readonly line: number;
}

/** Through which messages go: a connector that the app registered itself before any other, and a line that is on. */
export function channelOf({ connectors }: PortalState): Channel {
  const all = [...connectors.values()];
  const chosen = all.find(({ placementHandler }) => placementHandler !== '') ?? all[0];
  const [line] = [...(chosen?.lines ?? [])].find(([, { isActive }]) => isActive) ?? [DEFAULT_LINE];
  return { connector: chosen?.id ?? DEFAULT_CONNECTOR, line };
}
