import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { decodeForm } from '../../src/api/decode-body.js';
import { parseEnvelope } from '../../src/shared/bitrix24/parse-event.js';
import { isFaultless } from '../../src/simulator/report.js';
import { SAMPLE_EVENTS } from '../../src/simulator/sample-events.js';
import type { SimulatedPortal } from '../../src/simulator/simulated-portal.js';
import { startSimulator, type Simulator } from '../../src/simulator/start-simulator.js';
import { startStubApp, type AppRequest, type StubApp } from '../support/stub-app.js';

const ADD = 'ONIMCONNECTORMESSAGEADD';

let simulator: Simulator;
let portal: SimulatedPortal;
let app: StubApp;

beforeEach(async () => {
  app = await startStubApp();
  simulator = await startSimulator();
  portal = await simulator.addPortal({ bucket: { perSecond: 1000, burst: 1000 } });
  await portal.install({ eventsUrl: app.url });
});

afterEach(async () => {
  await simulator.close();
  await app.close();
});

interface Added {
  readonly CONNECTOR: string;
  readonly LINE: string;
  readonly MESSAGES: readonly { readonly im: Record<string, string>; readonly chat: { readonly id: string } }[];
}

/** As an app does it that has delivered the message. */
async function confirm({ form }: AppRequest, chatId?: string): Promise<void> {
  const { CONNECTOR, LINE, MESSAGES } = form['data'] as Added;
  const messages = MESSAGES.map(({ im, chat }) => ({
    im,
    message: { id: ['ext-1'], date: 1 },
    chat: { id: chatId ?? chat.id },
  }));
  const answer = await fetch(`${portal.clientEndpoint}imconnector.send.status.delivery`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ CONNECTOR, LINE, MESSAGES: messages, auth: portal.tokensOf({ admin: true }).accessToken }),
  });
  if (!answer.ok) throw new Error(await answer.text());
}

function isTrue({ form }: AppRequest): boolean {
  return (form['auth'] as Record<string, string>)['application_token'] === portal.applicationToken;
}

/** The first of the requests with each message. */
function firstOfEach(requests: readonly AppRequest[]): readonly AppRequest[] {
  return [...new Map(requests.toReversed().map((request) => [JSON.stringify(request.form['data']), request])).values()];
}

describe('an answer of the app', () => {
  test('counts as none where it is larger than a mebibyte', async () => {
    app.answer = () => ({ status: 200, body: 'x'.repeat(1_048_577) });

    await expect(portal.send('ONIMCONNECTORMESSAGEADD')).resolves.toMatchObject({ kind: 'unanswered' });
    expect(simulator.report().posts).toMatchObject({ sent: 1, accepted: 0, unanswered: 1 });
  });
});

describe('the report', () => {
  test('tells what was answered once, more than once and not at all, and names the last two', async () => {
    await portal.sendMany({ count: 5 });
    const [once, twice, ...never] = app.events(ADD);
    if (!once || !twice) throw new Error('no event came');
    for (const request of [once, twice, twice]) await confirm(request);

    const { messages, posts } = simulator.report();

    expect(posts).toMatchObject({ sent: 5, accepted: 5, refused: {}, unanswered: 0 });
    expect(messages).toMatchObject({ expected: 5, once: 1, moreThanOnce: 1, missing: 3, wrong: 0 });
    const idsOf = (requests: readonly AppRequest[]) =>
      requests.map(({ form }) => Number((form['data'] as Added).MESSAGES[0]?.im['message_id']));
    expect(new Set(messages.missingOnes.map(({ messageId }) => messageId))).toEqual(new Set(idsOf(never)));
    expect(messages.doubledOnes.map(({ messageId }) => messageId)).toEqual(idsOf([twice]));
    expect(isFaultless(simulator.report())).toBe(false);
  });

  test('is without fault where duplicates, same seconds, missing tokens and forgeries were told apart', async () => {
    await portal.sendMany({
      count: 100,
      duplicates: 0.2,
      sameSecondPairs: 0.2,
      withoutTokens: 0.2,
      forgeries: 0.2,
      seed: 3,
    });
    for (const request of firstOfEach(app.events(ADD).filter(isTrue))) await confirm(request);

    const report = simulator.report();

    expect(report.messages).toMatchObject({ expected: 100, once: 100, forgeriesAnswered: 0 });
    expect(isFaultless(report)).toBe(true);
    const { duplicates, forgeries, withoutTokens } = report.posts;
    expect(app.events(ADD)).toHaveLength(100 + duplicates + forgeries);
    expect(app.events(ADD).filter((request) => !isTrue(request))).toHaveLength(forgeries);
    expect(Math.min(duplicates, forgeries, withoutTokens)).toBeGreaterThan(5);
    const bare = firstOfEach(app.events(ADD).filter(isTrue)).filter(
      ({ form }) => !('access_token' in Object(form['auth'])),
    );
    expect(bare).toHaveLength(withoutTokens);
  });

  test('tells that a forgery was believed', async () => {
    await portal.sendMany({ count: 20, forgeries: 1, seed: 1 });
    for (const request of firstOfEach(app.events(ADD))) await confirm(request);

    const { messages } = simulator.report();

    expect(messages.forgeriesAnswered).toBeGreaterThan(0);
    expect(messages.once).toBe(20);
  });

  test('tells that an answer named another chat than the message', async () => {
    await portal.send(ADD);
    for (const request of app.events(ADD)) await confirm(request, 'another-chat');

    expect(simulator.report().messages).toMatchObject({ missing: 1, wrong: 1 });
  });

  test('expects an answer to a change of a message, too', async () => {
    await portal.send(ADD);
    for (const request of app.events(ADD)) await confirm(request);
    await portal.send('ONIMCONNECTORMESSAGEUPDATE');
    const [change] = app.events('ONIMCONNECTORMESSAGEUPDATE');

    expect(change?.form['data']).toMatchObject({ MESSAGES: [{ message: { id: ['ext-1'] } }] });
    expect(simulator.report().messages).toMatchObject({ expected: 1, missing: 1 });
    if (change) await confirm(change);
    expect(simulator.report().messages).toMatchObject({ expected: 1, once: 1 });
  });

  test('expects nothing for what the app refused, and counts it by status', async () => {
    app.answer = (_, count) => (count % 2 === 0 ? { status: 503 } : 'reset');
    await portal.sendMany({ count: 10 });

    const { posts, messages } = simulator.report();

    expect(posts).toMatchObject({ sent: 10, accepted: 0, refused: { 503: 5 }, unanswered: 5, repeats: 0 });
    expect(messages.expected).toBe(0);
    expect(app.events(ADD)).toHaveLength(10);
  });
});

describe('sending many', () => {
  test('posts again, up to three times and to the letter, what was not accepted, where that is wanted', async () => {
    app.answer = ({ form }, count) => ({ status: form['event'] === ADD && count < 5 ? 503 : 200 });
    await portal.sendMany({ count: 1, repeat: true, repeatDelayMs: 1 });
    const bodies = app.events(ADD).map(({ raw }) => raw);
    app.answer = () => ({ status: 503 });
    await portal.sendMany({ count: 1, repeat: true, repeatDelayMs: 1 });

    expect(new Set(bodies).size).toBe(1);
    expect(app.events(ADD)).toHaveLength(4 + 4);
    expect(simulator.report().posts).toMatchObject({ sent: 2, accepted: 1, refused: { 503: 1 }, repeats: 6 });
  });

  test('keeps to its rate, in bursts', async () => {
    const startedAtMs = Date.now();
    await portal.sendMany({ count: 9, rate: 20, burst: 4 });

    // Four at once, four after 200 ms, the last after 400 ms.
    expect(Date.now() - startedAtMs).toBeGreaterThanOrEqual(390);
  });

  test('makes the same choices for the same seed', async () => {
    const many = { count: 50, duplicates: 0.3, withoutTokens: 0.3, forgeries: 0.3 };
    const counts = async (seed: number) => {
      const { posts: before } = simulator.report();
      await portal.sendMany({ ...many, seed });
      const { posts: after } = simulator.report();
      return [
        after.duplicates - before.duplicates,
        after.withoutTokens - before.withoutTokens,
        after.forgeries - before.forgeries,
      ];
    };
    const first = await counts(5);

    await expect(counts(5)).resolves.toEqual(first);
    await expect(counts(6)).resolves.not.toEqual(first);
  });

  test.each(SAMPLE_EVENTS)('has a sample of %s that our own schema takes', async (name) => {
    await portal.send(name);

    const decoded = decodeForm(Buffer.from(app.events(name)[0]?.raw ?? ''), { depthMax: 16, parametersMax: 1000 });
    const parsed = parseEnvelope(decoded.ok ? decoded.value : undefined);
    expect(parsed.ok && parsed.envelope.name).toBe(name);
    expect(parsed.ok && parsed.envelope.body.state).toMatch(/typed|open/);
  });

  test('sends an event that there is no sample of with the data it is given alone', async () => {
    await expect(portal.send('ONSOMETHING')).rejects.toThrow('no sample of ONSOMETHING');
    await portal.send('ONSOMETHING', { FIELDS: { ID: 1 } });
    expect(app.events('ONSOMETHING')).toHaveLength(1);
  });
});
