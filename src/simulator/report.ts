import { expectedOf, type EventLedger, type LedgerMessage, type PostCounts } from './event-ledger.js';
import type { SimulatedMessenger } from './messenger.js';
import type { PortalState } from './portal-state.js';

/** A message that is not where it should be, by ids with which it is found in the app's log. */
export interface NamedMessage {
  readonly memberId: string;
  readonly messageId: number;
  readonly chatId: string;
  readonly sentAt: string;
}

/** What was sent, what came back, and what is missing; of all portals together. */
export interface SimulatorReport {
  readonly portals: number;
  readonly posts: Readonly<PostCounts>;
  /** True operators' messages that the app accepted, by how `imconnector.send.status.delivery` answered them. */
  readonly messages: {
    readonly expected: number;
    readonly once: number;
    readonly moreThanOnce: number;
    readonly missing: number;
    /** The first of them. */
    readonly missingOnes: readonly NamedMessage[];
    readonly doubledOnes: readonly NamedMessage[];
    /** Answers that name no message, or another chat than the message's. */
    readonly wrong: number;
    /** The oldest, where there were very many: nothing else here tells of them. */
    readonly forgotten: number;
    readonly forgeriesAnswered: number;
  };
  /** What customers wrote, by how often `imconnector.send.messages` brought it into the portal. */
  readonly customers: {
    readonly written: number;
    readonly accepted: number;
    readonly once: number;
    readonly moreThanOnce: number;
    readonly missing: number;
    readonly forgotten: number;
  };
  /** What the customers' messenger was given. */
  readonly messenger: { readonly messages: number; readonly repeatedRequests: number };
  readonly rest: {
    readonly calls: number;
    readonly refused: Readonly<Record<string, number>>;
    readonly overBudget: number;
    readonly renewals: number;
    readonly proofs: number;
  };
}

const NAMED_MAX = 20;

export interface ReportDeps {
  readonly ledger: EventLedger;
  readonly messenger: SimulatedMessenger;
  readonly portals: readonly PortalState[];
}

export function createReport({ ledger, messenger, portals }: ReportDeps): SimulatorReport {
  return {
    portals: portals.length,
    posts: { ...ledger.posts, refused: { ...ledger.posts.refused } },
    messages: reportMessages(ledger),
    customers: reportCustomers(ledger),
    messenger: {
      messages: messenger.delivered,
      repeatedRequests: messenger.repeatedRequests,
    },
    rest: reportRest(portals),
  };
}

/** Nothing is missing, doubled, wrong, forged or forgotten, and every true event was taken. */
export function isFaultless({ posts, messages, customers }: SimulatorReport): boolean {
  const faults = [
    posts.sent - posts.accepted,
    messages.missing,
    messages.moreThanOnce,
    messages.wrong,
    messages.forgeriesAnswered,
    messages.forgotten,
    customers.forgotten,
    customers.missing,
    customers.moreThanOnce,
  ];
  return sum(faults) === 0;
}

function reportMessages(ledger: EventLedger): SimulatorReport['messages'] {
  const all = [...ledger.messages.values()];
  const expected = ledger.accepted();
  const missing = expected.filter((message) => message.confirmations < expectedOf(message));
  const doubled = expected.filter((message) => message.confirmations > expectedOf(message));
  return {
    expected: expected.length,
    once: expected.length - missing.length - doubled.length,
    moreThanOnce: doubled.length,
    missing: missing.length,
    missingOnes: missing.slice(0, NAMED_MAX).map(nameOf),
    doubledOnes: doubled.slice(0, NAMED_MAX).map(nameOf),
    wrong: ledger.wrongConfirmations,
    forgotten: ledger.forgottenMessages,
    forgeriesAnswered: all.filter((message) => message.isForged && message.confirmations > 0).length,
  };
}

function nameOf({ memberId, messageId, chatId, sentAtMs }: LedgerMessage): NamedMessage {
  return { memberId, messageId, chatId, sentAt: new Date(sentAtMs).toISOString() };
}

function reportCustomers(ledger: EventLedger): SimulatorReport['customers'] {
  const all = [...ledger.incoming.values()];
  const accepted = all.filter(({ isAccepted }) => isAccepted);
  return {
    written: all.length,
    accepted: accepted.length,
    once: accepted.filter(({ arrivals }) => arrivals === 1).length,
    moreThanOnce: all.filter(({ arrivals }) => arrivals > 1).length,
    missing: accepted.filter(({ arrivals }) => arrivals === 0).length,
    forgotten: ledger.forgottenIncoming,
  };
}

function reportRest(portals: readonly PortalState[]): SimulatorReport['rest'] {
  const calls = portals.flatMap((portal) => portal.calls);
  const refused: Record<string, number> = {};
  for (const { error } of calls) if (error !== null) refused[error] = (refused[error] ?? 0) + 1;
  return {
    calls: calls.length,
    refused,
    overBudget: sum(portals.map(({ bucket }) => bucket.refused)),
    renewals: sum(portals.map(({ renewals }) => renewals)),
    proofs: sum(portals.map(({ proofs }) => proofs)),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
