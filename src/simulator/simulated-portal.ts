import { EventSender, type SendOptions } from './event-sender.js';
import type { Posted } from './event-poster.js';
import type { Params } from './method-params.js';
import { PortalHosts } from './portal-hosts.js';
import * as life from './portal-life.js';
import { createPortalRest } from './portal-rest.js';
import {
  channelOf,
  clientEndpointOf,
  createPortalState,
  ownerOf,
  type Channel,
  type Cloud,
  type PortalOptions,
  type PortalState,
} from './portal-state.js';
import { sendMany, type ManyEvents } from './send-many.js';
import type { TokenPair } from './token-book.js';

/** One Bitrix24 account: its REST, its events and its life with the app. */
export class SimulatedPortal {
  /** All that it is, to look at and to change. */
  readonly state: PortalState;
  readonly #cloud: Cloud;
  readonly #hosts: PortalHosts;
  readonly #sender: EventSender;
  readonly #underway = new Set<Promise<unknown>>();

  private constructor(cloud: Cloud, hosts: PortalHosts, options: PortalOptions) {
    this.#cloud = cloud;
    this.#hosts = hosts;
    this.state = createPortalState(cloud, options, hosts.host);
    this.#sender = new EventSender(cloud, this.state);
    hosts.serve(createPortalRest({ cloud, portal: this.state, fire: (event, data) => this.#fire(event, data) }));
  }

  static async open(cloud: Cloud, options: PortalOptions = {}): Promise<SimulatedPortal> {
    return new SimulatedPortal(
      cloud,
      await PortalHosts.open({ port: options.port, hostname: cloud.hostname }),
      options,
    );
  }

  get memberId(): string {
    return this.state.memberId;
  }

  get applicationToken(): string {
    return this.state.applicationToken;
  }

  /** `127.0.0.1:41234`, for B24_PORTAL_HOSTS. */
  get host(): string {
    return this.state.host;
  }

  /** The host that it will have after the next rename. */
  get nextHost(): string {
    return this.#hosts.nextHost;
  }

  /** `http://127.0.0.1:41234/rest/` */
  get clientEndpoint(): string {
    return clientEndpointOf(this.state);
  }

  /** The connector and the line through which its messages go. */
  get channel(): Channel {
    return channelOf(this.state);
  }

  get faults(): PortalState['faults'] {
    return this.state.faults;
  }

  get calls(): PortalState['calls'] {
    return this.state.calls;
  }

  get renewals(): number {
    return this.state.renewals;
  }

  /** How often the OAuth server was asked what one of its tokens is worth. */
  get proofs(): number {
    return this.state.proofs;
  }

  /** How many requests came to a host that it had before a rename. */
  get redirected(): number {
    return this.#hosts.redirected;
  }

  get overBudget(): number {
    return this.state.bucket.refused;
  }

  install(installation: life.Installation): Promise<Posted> {
    return life.install(this.#life(), installation);
  }

  update({ newToken = true }: { readonly newToken?: boolean } = {}): Promise<Posted> {
    return life.update(this.#life(), { newToken });
  }

  uninstall({ clean = true }: { readonly clean?: boolean } = {}): Promise<Posted> {
    return life.uninstall(this.#life(), { clean });
  }

  pay({ expired = false }: { readonly expired?: boolean } = {}): Promise<Posted> {
    return life.pay(this.#life(), { expired });
  }

  openPlacement(placement: life.Placement): Promise<Posted> {
    return life.openPlacement(this.#life(), placement);
  }

  /** As an administrator does it in the portal, or `false` for off. */
  switchLine(connector: string, line: number, isActive = true): void {
    const lines = this.state.connectors.get(connector)?.lines;
    if (!lines) throw new Error(`portal ${this.memberId} has no connector ${connector}`);
    lines.set(line, { isActive, data: lines.get(line)?.data ?? null });
  }

  /** The host it had answers with 302 from now on. */
  async rename(): Promise<void> {
    await this.#hosts.moveOn();
    this.state.host = this.#hosts.host;
  }

  /** Posts one event; without `data` the sample of it. */
  send(event: string, data?: unknown, options?: SendOptions): Promise<Posted> {
    return this.#sender.send(event, data, options);
  }

  /** Resolves when every POST has ended; how they ended is in the simulator's report. */
  sendMany(many: ManyEvents): Promise<void> {
    return sendMany({ cloud: this.#cloud, sender: this.#sender }, many);
  }

  /** A fresh pair of the administrator or of an employee, of this app or of another one. */
  tokensOf({
    admin,
    clientId = this.#cloud.clientId,
  }: {
    readonly admin: boolean;
    readonly clientId?: string;
  }): TokenPair {
    const user = admin ? this.state.admin : this.state.employee;
    return this.#cloud.tokens.issue({ ...ownerOf(this.#cloud, this.state, user), clientId });
  }

  expireAccessTokens(): void {
    this.#cloud.tokens.expireAccess(this.memberId);
  }

  /** Every renewal is answered with `invalid_grant`. */
  killRefreshTokens(): void {
    this.#cloud.tokens.expireRefresh(this.memberId);
  }

  async close(): Promise<void> {
    await Promise.all([this.#hosts.close(), ...this.#underway]);
  }

  #fire(event: string, data: Params): void {
    const isBound = this.state.handlers.some((handler) => handler.event === event);
    if (!isBound) return;
    const posting = this.#sender.post(this.#sender.prepare(event, data)).finally(() => this.#underway.delete(posting));
    this.#underway.add(posting);
  }

  #life(): life.PortalLifeDeps {
    return { cloud: this.#cloud, state: this.state, sender: this.#sender };
  }
}
