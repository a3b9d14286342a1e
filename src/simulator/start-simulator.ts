import { randomBytes } from 'node:crypto';
import express, { type Express } from 'express';
import { createControlRouter } from './control-server.js';
import { EventLedger } from './event-ledger.js';
import { EventPoster } from './event-poster.js';
import { Faults } from './faults.js';
import { listenForApp, type HttpListener } from './http-listener.js';
import { createOAuthRouter, type OAuthCall } from './oauth-server.js';
import { createMessengerRouter } from './messenger-server.js';
import { SimulatedMessenger, type IncomingTarget } from './messenger.js';
import type { Cloud, PortalOptions } from './portal-state.js';
import { createReport, type SimulatorReport } from './report.js';
import { SimulatedPortal } from './simulated-portal.js';
import { TokenBook } from './token-book.js';

export interface SimulatorOptions {
  readonly clientId?: string;
  readonly clientSecret?: string;
  /** Of the OAuth server and the messenger; a free one by default. */
  readonly port?: number;
  /** Under which the app reaches this machine; only this machine itself does by default. */
  readonly hostname?: string | undefined;
  readonly now?: () => number;
  /** Where the messenger sends what customers write. */
  readonly incoming?: IncomingTarget;
}

/** A Bitrix24 on this machine: one OAuth server, and as many portals as are added. */
export interface Simulator {
  /** `http://127.0.0.1:41000` */
  readonly url: string;
  /** `127.0.0.1:41000`, for B24_OAUTH_HOSTS. */
  readonly oauthHost: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly portals: readonly SimulatedPortal[];
  readonly oauthFaults: Faults;
  /** The newest where there were very many. */
  readonly oauthCalls: readonly OAuthCall[];
  readonly messenger: SimulatedMessenger;
  addPortal(options?: PortalOptions): Promise<SimulatedPortal>;
  /** Access and refresh tokens, the newest where there were very many: a test can search for them where none may be. */
  readonly issuedTokens: readonly string[];
  /** How many messages are still to come back; asked at no cost, unlike the report. */
  readonly missing: number;
  /** What was sent until now, what came back, and what is missing. */
  report(): SimulatorReport;
  close(): Promise<void>;
}

export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { clientId = 'local.simulated.00000001', clientSecret = randomBytes(25).toString('hex') } = options;
  const now = options.now ?? Date.now;
  const app = express();
  const { port, hostname } = options;
  const listener = await listenForApp(app, { port, hostname });
  const cloud: Cloud = {
    clientId,
    clientSecret,
    host: listener.host,
    hostname,
    now,
    tokens: new TokenBook(now),
    ledger: new EventLedger(now()),
    poster: new EventPoster(),
  };
  return new RunningSimulator({ cloud, app, listener, incoming: options.incoming });
}

interface SimulatorParts {
  readonly cloud: Cloud;
  readonly app: Express;
  readonly listener: HttpListener;
  readonly incoming: IncomingTarget | undefined;
}

class RunningSimulator implements Simulator {
  readonly portals: SimulatedPortal[] = [];
  readonly oauthFaults = new Faults();
  readonly oauthCalls: OAuthCall[] = [];
  readonly messenger: SimulatedMessenger;
  readonly #cloud: Cloud;
  readonly #listener: HttpListener;

  constructor({ cloud, app, listener, incoming }: SimulatorParts) {
    this.#cloud = cloud;
    this.#listener = listener;
    this.messenger = new SimulatedMessenger({ ...cloud, incoming });
    const portalOf = (memberId: string) => this.portals.find((portal) => portal.memberId === memberId)?.state;
    app.disable('x-powered-by');
    app.use(express.json(), express.urlencoded({ extended: false }));
    app.use(createOAuthRouter({ cloud, faults: this.oauthFaults, calls: this.oauthCalls, portalOf }));
    app.use(createMessengerRouter(this.messenger));
    app.use(createControlRouter({ portals: this.portals, report: () => this.report() }));
  }

  get url(): string {
    return `http://${this.#listener.host}`;
  }

  get oauthHost(): string {
    return this.#listener.host;
  }

  get clientId(): string {
    return this.#cloud.clientId;
  }

  get clientSecret(): string {
    return this.#cloud.clientSecret;
  }

  get issuedTokens(): readonly string[] {
    return this.#cloud.tokens.issued;
  }

  async addPortal(options?: PortalOptions): Promise<SimulatedPortal> {
    const portal = await SimulatedPortal.open(this.#cloud, options);
    this.portals.push(portal);
    return portal;
  }

  get missing(): number {
    const { messages, incoming } = this.#cloud.ledger.missing;
    return messages + incoming;
  }

  report(): SimulatorReport {
    const portals = this.portals.map(({ state }) => state);
    return createReport({ ledger: this.#cloud.ledger, messenger: this.messenger, portals });
  }

  async close(): Promise<void> {
    await this.#cloud.poster.close();
    await Promise.all([this.#listener.close(), ...this.portals.map((portal) => portal.close())]);
  }
}
