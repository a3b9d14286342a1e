import { randomUUID } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import type { EventLedger } from './event-ledger.js';
import { wasAccepted, type EventPoster, type Posted } from './event-poster.js';
import { Faults } from './faults.js';
import { forgetOldestEntries, forgetOldestItems } from './forget-oldest.js';

/** A message that the app delivered to the customer. */
export interface MessengerMessage {
  readonly id: string;
  readonly chat: string;
  readonly idempotencyKey: string | null;
  readonly atMs: number;
  text: string;
  /** How often it was sent under its key: more than once is harmless, and tells of repeats. */
  requests: number;
  edits: number;
  isDeleted: boolean;
}

/** Where the app takes messages of customers in, and how they are signed. */
export interface IncomingTarget {
  readonly url: string;
  /** `whsec_…` */
  readonly secret: string;
}

export interface CustomerMessage {
  readonly memberId: string;
  readonly chat: string;
  readonly text: string;
  readonly connector: string;
  readonly line: number;
  readonly user?: { readonly id: string; readonly name: string };
  /** How often the same message is sent again, as after an answer that got lost. */
  readonly duplicates?: number;
}

export interface WrittenMessage {
  readonly id: string;
  /** The answer to the first POST. */
  readonly posted: Posted;
}

export interface MessengerDeps {
  readonly ledger: EventLedger;
  readonly poster: EventPoster;
  readonly now: () => number;
  readonly incoming: IncomingTarget | undefined;
}

const MESSAGES_MAX = 200_000;
const FORGOTTEN_LINES_MAX = 10_000;

/**
 * The messenger on the customer's side: takes the operators' messages, and sends what customers write to the app. It has the
 * newest messages only, where they are very many.
 */
export class SimulatedMessenger {
  readonly faults = new Faults();
  readonly messages = new Map<string, MessengerMessage>();
  readonly #deps: MessengerDeps;
  readonly #idsByKey = new Map<string, string>();
  /** Lines that the app gave up, as `portal line`. */
  readonly forgottenLines: string[] = [];
  /** How many messages it took in ever, and how many requests came again under a key that was known. */
  delivered = 0;
  repeatedRequests = 0;
  /** Set later where the app's address is not known at the start. */
  incoming: IncomingTarget | undefined;

  constructor(deps: MessengerDeps) {
    this.#deps = deps;
    this.incoming = deps.incoming;
  }

  /** Takes a message in; one whose key is known is the message of that key. */
  deliver({
    chat,
    text,
    idempotencyKey,
  }: Pick<MessengerMessage, 'chat' | 'text' | 'idempotencyKey'>): MessengerMessage {
    const known = idempotencyKey === null ? undefined : this.messages.get(this.#idsByKey.get(idempotencyKey) ?? '');
    if (known) {
      known.requests += 1;
      this.repeatedRequests += 1;
      return known;
    }
    this.delivered += 1;
    const id = `ext-${this.delivered}`;
    const atMs = this.#deps.now();
    const message = { id, chat, text, idempotencyKey, atMs, requests: 1, edits: 0, isDeleted: false };
    this.messages.set(id, message);
    if (idempotencyKey !== null) this.#idsByKey.set(idempotencyKey, id);
    forgetOldestEntries(this.messages, MESSAGES_MAX);
    forgetOldestEntries(this.#idsByKey, MESSAGES_MAX);
    return message;
  }

  forgetLine(portal: string, line: string): void {
    this.forgottenLines.push(`${portal} ${line}`.trim());
    forgetOldestItems(this.forgottenLines, FORGOTTEN_LINES_MAX);
  }

  edit(id: string, text: string): MessengerMessage | undefined {
    const message = this.messages.get(id);
    if (!message) return undefined;
    message.text = text;
    message.edits += 1;
    return message;
  }

  delete(id: string): boolean {
    const message = this.messages.get(id);
    if (message) message.isDeleted = true;
    return message !== undefined;
  }

  /**
   * A customer writes: a signed POST to the app (https://www.standardwebhooks.com), the same one again for each duplicate.
   *
   * @throws where no address was given for it.
   */
  async write(customer: CustomerMessage): Promise<WrittenMessage> {
    const { ledger, poster, now } = this.#deps;
    if (!this.incoming) throw new Error('the messenger was not told where the app takes messages in');
    const id = `msg-${randomUUID()}`;
    const sentAt = new Date(now());
    const body = JSON.stringify({
      type: 'message',
      timestamp: sentAt.toISOString(),
      data: dataOf(customer, id, sentAt),
    });
    const headers = {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1000)),
      'webhook-signature': new Webhook(this.incoming.secret).sign(id, sentAt, body),
    };
    const post = { url: this.incoming.url, body, headers };
    ledger.writeIncoming(id);
    const [posted = NOT_POSTED] = await Promise.all(
      Array.from({ length: 1 + (customer.duplicates ?? 0) }, () => poster.post(post)),
    );
    if (wasAccepted(posted)) ledger.acceptIncoming(id);
    return { id, posted };
  }
}

const NOT_POSTED: Posted = { kind: 'unanswered', reason: 'nothing was posted' };

function dataOf(customer: CustomerMessage, id: string, sentAt: Date): unknown {
  const {
    memberId,
    chat,
    text,
    connector,
    line,
    user = { id: `user-of-${chat}`, name: 'Erika Mustermann' },
  } = customer;
  return {
    member_id: memberId,
    connector,
    line,
    user,
    message: { id, date: Math.floor(sentAt.getTime() / 1000), text },
    chat: { id: chat },
  };
}
