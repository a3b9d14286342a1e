import { isMap } from '../shared/is-map.js';
import { ActingTokens, eventAuth, eventBody } from './event-body.js';
import { wasAccepted, type Posted } from './event-poster.js';
import { mapIn } from './method-params.js';
import { channelOf, type Cloud, type PortalState } from './portal-state.js';
import { sampleData } from './sample-events.js';
import type { TokenPair } from './token-book.js';

export interface SendOptions {
  /** In the place of the handlers bound for the event, and of the address given at the installation. */
  readonly url?: string;
  /** Unix seconds; now by default. */
  readonly ts?: number;
  /** false: as where nobody stands behind the event. */
  readonly withTokens?: boolean;
  /** In the place of the employee's; for what an attacker may get hold of. */
  readonly tokens?: TokenPair;
  /** Written over `auth`: with another `application_token` the event is a forgery. */
  readonly auth?: Readonly<Record<string, unknown>>;
}

/** A body and where it goes; it can be posted several times. */
export interface PreparedEvent {
  readonly event: string;
  readonly data: unknown;
  readonly posts: readonly { readonly url: string; readonly body: string }[];
  readonly isForged: boolean;
}

/** Events of one portal to its app. */
export class EventSender {
  readonly #cloud: Cloud;
  readonly #state: PortalState;
  readonly #acting: ActingTokens;

  constructor(cloud: Cloud, state: PortalState) {
    this.#cloud = cloud;
    this.#state = state;
    this.#acting = new ActingTokens(cloud, state);
  }

  /**
   * The event in the sender's form, to every handler that is bound for it. Without `data` it is the sample of the event.
   *
   * @throws where there is neither a handler nor an address, or no sample of the event.
   */
  prepare(name: string, data: unknown, options: SendOptions = {}): PreparedEvent {
    const event = name.toUpperCase();
    const known = data ?? this.sample(event);
    if (known === undefined) throw new Error(`there is no sample of ${event}: give its data`);
    const { ts = Math.floor(this.#cloud.now() / 1000), withTokens = true } = options;
    const pair = options.tokens ?? (withTokens ? this.#acting.pair() : undefined);
    const auth = { ...eventAuth({ cloud: this.#cloud, state: this.#state }, event, pair), ...options.auth };
    const posts = this.#targets(event, options.url).map(({ url, handlerId }) => ({
      url,
      body: eventBody({ event, handlerId, data: known, ts, auth }),
    }));
    const isForged = auth['application_token'] !== this.#state.applicationToken;
    return { event, data: known, posts, isForged };
  }

  /** A new message in a chat of its own; a change or a deletion is of the last message that the app confirmed. */
  sample(event: string): unknown {
    const { ledger } = this.#cloud;
    const source = channelOf(this.#state);
    const known = CHANGES.has(event) ? ledger.lastDelivered(this.#state.memberId) : undefined;
    // Changed anew each time: the same change twice in one second is one event.
    if (known)
      return sampleData(event, { ...source, ...known, text: `Changed #${known.messageId}, ${ledger.nextId()}` });
    const imChatId = ledger.nextId();
    return sampleData(event, { ...source, imChatId, messageId: ledger.nextId(), chatId: `chat-${imChatId}` });
  }

  /** Posts an event once, and notes it. The answer is that of the first handler that did not accept, or of the first. */
  async send(name: string, data?: unknown, options: SendOptions = {}): Promise<Posted> {
    const prepared = this.prepare(name, data, options);
    const { posts } = this.#cloud.ledger;
    if (!prepared.isForged && options.withTokens === false) posts.withoutTokens += 1;
    this.expect(prepared);
    const posted = await this.post(prepared);
    this.settle(prepared, posted);
    return posted;
  }

  /** The POST alone. */
  async post({ posts }: PreparedEvent): Promise<Posted> {
    const all = await Promise.all(posts.map((post) => this.#cloud.poster.post(post)));
    return (
      all.find((posted) => !wasAccepted(posted)) ?? all[0] ?? { kind: 'unanswered', reason: 'there is no handler' }
    );
  }

  /** Before the first POST: its answer may come later than the app's own call. */
  expect({ event, data, isForged }: PreparedEvent): void {
    const { ledger, now } = this.#cloud;
    if (isForged) ledger.posts.forgeries += 1;
    else ledger.posts.sent += 1;
    if (!CONFIRMED_EVENTS.has(event)) return;
    for (const message of messagesOf(data)) ledger.expect({ ...this.#idsOf(message), isForged, sentAtMs: now() });
  }

  /** After the last POST of it, repeats and duplicates included. */
  settle({ event, data, isForged }: PreparedEvent, posted: Posted): void {
    const { ledger } = this.#cloud;
    if (isForged) return;
    ledger.notePosted(posted);
    if (!wasAccepted(posted)) return;
    for (const message of messagesOf(data)) {
      const { messageId } = this.#idsOf(message);
      if (event === 'ONIMCONNECTORMESSAGEADD') ledger.accept(messageId);
      if (event === 'ONIMCONNECTORMESSAGEUPDATE') ledger.acceptChange(messageId);
    }
  }

  #idsOf(message: Readonly<Record<string, unknown>>) {
    const im = mapIn(message, 'im');
    return {
      memberId: this.#state.memberId,
      messageId: Number(im['message_id']),
      imChatId: Number(im['chat_id']),
      chatId: String(mapIn(message, 'chat')['id']),
    };
  }

  #targets(event: string, url: string | undefined): readonly { readonly url: string; readonly handlerId: number }[] {
    if (url !== undefined) return [{ url, handlerId: UNBOUND_HANDLER_ID }];
    const bound = this.#state.handlers.filter((handler) => handler.event === event);
    if (bound.length > 0) return bound.map((handler) => ({ url: handler.url, handlerId: handler.id }));
    const { eventsUrl, memberId } = this.#state;
    if (eventsUrl === null) throw new Error(`portal ${memberId} has no handler for ${event} and no address for events`);
    return [{ url: eventsUrl, handlerId: UNBOUND_HANDLER_ID }];
  }
}

/** What an app answers by `imconnector.send.status.delivery`. */
const CONFIRMED_EVENTS = new Set(['ONIMCONNECTORMESSAGEADD', 'ONIMCONNECTORMESSAGEUPDATE']);

const CHANGES = new Set(['ONIMCONNECTORMESSAGEUPDATE', 'ONIMCONNECTORMESSAGEDELETE']);

/** Of the handler that the cloud binds itself at the installation. */
const UNBOUND_HANDLER_ID = 553;

function messagesOf(data: unknown): readonly Readonly<Record<string, unknown>>[] {
  const messages = isMap(data) ? data['MESSAGES'] : undefined;
  return Array.isArray(messages) ? messages.filter(isMap) : [];
}
