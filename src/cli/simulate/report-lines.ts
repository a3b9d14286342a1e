import { isFaultless, type NamedMessage, type SimulatorReport } from '../../simulator/report.js';

/** The report as a person reads it at the terminal. */
export function reportLines(report: SimulatorReport): readonly string[] {
  const { posts, messages, customers, messenger, rest } = report;
  return [
    '',
    `  events     ${posts.sent} sent, ${posts.accepted} accepted${listOf(posts.refused, 'refused with')}${some(posts.unanswered, 'unanswered')}`,
    `             ${extrasOf(posts)}`,
    `  answered   ${messages.once} of ${messages.expected} messages exactly once, ${messages.moreThanOnce} more than once, ${messages.missing} not at all${some(messages.wrong, 'wrong answers')}${some(messages.forgotten, 'forgotten')}`,
    `  forgeries  ${posts.forgeries} sent, ${messages.forgeriesAnswered} answered`,
    ...(customers.written > 0
      ? [
          `  customers  ${customers.written} messages written, ${customers.once} came into the portal once, ${customers.moreThanOnce} more than once, ${customers.missing} not at all${some(customers.forgotten, 'forgotten')}`,
        ]
      : []),
    `  messenger  ${messenger.messages} messages delivered${some(messenger.repeatedRequests, 'requests repeated under their key')}`,
    `  REST       ${rest.calls} calls, ${rest.overBudget} above the budget, ${rest.renewals} renewals, ${rest.proofs} proofs${listOf(rest.refused, 'refused with')}`,
    ...namedLines('missing', messages.missingOnes, messages.missing),
    ...namedLines('more than once', messages.doubledOnes, messages.moreThanOnce),
    '',
    `  ${isFaultless(report) ? 'Nothing is missing, and nothing came twice.' : verdictOf(report)}`,
    '',
  ];
}

function extrasOf({ duplicates, repeats, withoutTokens }: SimulatorReport['posts']): string {
  return `${duplicates} sent twice, ${withoutTokens} without tokens, ${repeats} repeated because they were not accepted`;
}

function verdictOf({ messages, rest }: SimulatorReport): string {
  if (messages.expected > 0 && messages.missing === messages.expected && rest.calls === 0)
    return 'No message was answered and no REST call came: has the app a handler for these events (HANDLERS_DIR)?';
  return 'Not everything came back as it should.';
}

function namedLines(title: string, named: readonly NamedMessage[], count: number): readonly string[] {
  if (count === 0) return [];
  const lines = named.map(
    ({ memberId, messageId, chatId, sentAt }) =>
      `    message ${messageId} in ${chatId} of portal ${memberId}, sent at ${sentAt}`,
  );
  return ['', `  ${title}:`, ...lines, ...(count > named.length ? [`    and ${count - named.length} more`] : [])];
}

function listOf(counts: Readonly<Record<string, number>>, word: string): string {
  const parts = Object.entries(counts).map(([name, count]) => `, ${count} ${word} ${name}`);
  return parts.join('');
}

function some(count: number, what: string): string {
  return count === 0 ? '' : `, ${count} ${what}`;
}
