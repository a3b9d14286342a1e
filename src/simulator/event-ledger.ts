import { wasAccepted, type Posted } from './event-poster.js';
import { forgetOldestEntries } from './forget-oldest.js';

/** An operator's message that was sent to the app, and what came back for it. */
export interface LedgerMessage {
  readonly memberId: string;
  readonly messageId: number;
  /** Of the portal's own chat, and of the chat outside. */
  readonly imChatId: number;
  readonly chatId: string;
  readonly isForged: boolean;
  readonly sentAtMs: number;
  /** Whether the app took the message in, and how many changes of it: each of them is to be confirmed once. */
  isAccepted: boolean;
  changes: number;
  confirmations: number;
  /** The ids under which the messenger has it, once the app told them. */
  externalIds: readonly string[];
}

export interface Confirmation {
  readonly memberId: string;
  readonly messageId: number;
  readonly imChatId: number;
  readonly chatId: string;
  readonly externalIds: readonly string[];
}

/** A message that is about to be posted. */
export type Expectation = Omit<Confirmation, 'externalIds'> & Pick<LedgerMessage, 'isForged' | 'sentAtMs'>;

/** A customer's message on its way into the portal. */
export interface LedgerIncoming {
  readonly id: string;
  isAccepted: boolean;
  arrivals: number;
}

/** Counts of POSTs with events; the messages that they told of are counted apart. */
export interface PostCounts {
  /** True events; a duplicate and a repeat are no events of their own. */
  sent: number;
  accepted: number;
  /** By status, of true events whose last POST was answered so. */
  readonly refused: Record<string, number>;
  unanswered: number;
  duplicates: number;
  repeats: number;
  withoutTokens: number;
  forgeries: number;
}

/** Of the operators' messages, and of the customers'. */
const MESSAGES_MAX = 1_000_000;

/**
 * What all portals sent and what came back, so that nothing that is missing or doubled stays unseen. Beyond a million the oldest
 * messages are forgotten, and counted: nothing can be said of them any more.
 */
export class EventLedger {
  readonly messages = new Map<number, LedgerMessage>();
  readonly incoming = new Map<string, LedgerIncoming>();
  readonly posts: PostCounts = {
    sent: 0,
    accepted: 0,
    refused: {},
    unanswered: 0,
    duplicates: 0,
    repeats: 0,
    withoutTokens: 0,
    forgeries: 0,
  };
  /** Confirmations that name a message that no portal sent, or another chat than the message's. */
  wrongConfirmations = 0;
  forgottenMessages = 0;
  forgottenIncoming = 0;
  readonly #messagesMax: number;
  #missingMessages = 0;
  #missingIncoming = 0;
  readonly #delivered = new Map<string, LedgerMessage>();
  #lastId: number;

  constructor(nowMs: number, messagesMax = MESSAGES_MAX) {
    this.#messagesMax = messagesMax;
    // Another run of the simulator against the same system must not begin with the same ids.
    this.#lastId = (Math.floor(nowMs / 1000) % 1_000_000_000) * 10;
  }

  /** Ids of messages and chats are unique over all portals. */
  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  expect(message: Expectation): void {
    if (this.messages.has(message.messageId)) return;
    const unanswered = { isAccepted: false, changes: 0, confirmations: 0, externalIds: [] };
    this.messages.set(message.messageId, { ...message, ...unanswered });
    const forgotten = forgetOldestEntries(this.messages, this.#messagesMax);
    this.forgottenMessages += forgotten.length;
    this.#missingMessages -= forgotten.filter(isMissing).length;
  }

  /**
   * How many messages the app took in that it has not answered yet, and how many of customers that it has not brought into the
   * portal; counted as they change, since who waits for them asks all the time.
   */
  get missing(): { readonly messages: number; readonly incoming: number } {
    return { messages: this.#missingMessages, incoming: this.#missingIncoming };
  }

  /** How the last POST of a true event ended. */
  notePosted(posted: Posted): void {
    if (wasAccepted(posted)) this.posts.accepted += 1;
    else if (posted.kind === 'unanswered') this.posts.unanswered += 1;
    else this.posts.refused[posted.status] = (this.posts.refused[posted.status] ?? 0) + 1;
  }

  accept(messageId: number): void {
    this.#change(this.messages.get(messageId), (message) => {
      message.isAccepted = true;
    });
  }

  acceptChange(messageId: number): void {
    this.#change(this.messages.get(messageId), (message) => {
      message.changes += 1;
    });
  }

  confirm(confirmation: Confirmation): void {
    const message = this.messages.get(confirmation.messageId);
    // It may be of one that was forgotten.
    if (!message && this.forgottenMessages > 0) return;
    const isRight =
      message?.memberId === confirmation.memberId &&
      message.imChatId === confirmation.imChatId &&
      message.chatId === confirmation.chatId;
    if (!isRight) {
      this.wrongConfirmations += 1;
      return;
    }
    this.#change(message, () => {
      message.confirmations += 1;
    });
    if (!message.isForged) this.#delivered.set(message.memberId, message);
    message.externalIds = confirmation.externalIds;
  }

  /** The last one of a portal of which the messenger's ids are known: only such can be changed and deleted. */
  lastDelivered(memberId: string): LedgerMessage | undefined {
    return this.#delivered.get(memberId);
  }

  /** True messages that the app took in, or changes of them. */
  accepted(): readonly LedgerMessage[] {
    return [...this.messages.values()].filter((message) => !message.isForged && expectedOf(message) > 0);
  }

  writeIncoming(id: string): void {
    this.incoming.set(id, { id, isAccepted: false, arrivals: 0 });
    const forgotten = forgetOldestEntries(this.incoming, this.#messagesMax);
    this.forgottenIncoming += forgotten.length;
    this.#missingIncoming -= forgotten.filter(isIncomingMissing).length;
  }

  acceptIncoming(id: string): void {
    this.#changeIncoming(id, (message) => {
      message.isAccepted = true;
    });
  }

  arriveIncoming(id: string): void {
    this.#changeIncoming(id, (message) => {
      message.arrivals += 1;
    });
  }

  #change(message: LedgerMessage | undefined, change: (message: LedgerMessage) => void): void {
    if (!message) return;
    const before = Number(isMissing(message));
    change(message);
    this.#missingMessages += Number(isMissing(message)) - before;
  }

  #changeIncoming(id: string, change: (message: LedgerIncoming) => void): void {
    const message = this.incoming.get(id);
    if (!message) return;
    const before = Number(isIncomingMissing(message));
    change(message);
    this.#missingIncoming += Number(isIncomingMissing(message)) - before;
  }
}

function isMissing(message: LedgerMessage): boolean {
  return !message.isForged && message.confirmations < expectedOf(message);
}

function isIncomingMissing({ isAccepted, arrivals }: LedgerIncoming): boolean {
  return isAccepted && arrivals === 0;
}

/** How many confirmations a message is to get. */
export function expectedOf({ isAccepted, changes }: LedgerMessage): number {
  return (isAccepted ? 1 : 0) + changes;
}
