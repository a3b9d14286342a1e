import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { FIXTURE_NAMES, formBody, forwardedBody } from '../support/deliveries.js';
import { messageBody, OTHER_MEMBER_ID, OTHER_TOKEN, System } from '../support/system.js';
import { waitUntil } from '../support/wait-until.js';

let system: System;

beforeAll(async () => {
  system = await System.start();
});
beforeEach(() => {
  system.receiver.clear();
});
afterAll(() => system.close());

function outcomes(event: string): Promise<number> {
  return Promise.resolve(system.worker?.logged(`delivery.${event}`).length ?? 0);
}

describe('the whole way, with real processes', () => {
  it('takes every body of the sender and forwards it once, to the letter', async () => {
    for (const name of FIXTURE_NAMES) {
      const { status, body } = await system.post(formBody(name));
      expect({ name, status, answer: body.status }).toEqual({ name, status: 200, answer: 'accepted' });
    }
    await waitUntil('all are forwarded', () => system.receiver.received.length >= FIXTURE_NAMES.length);
    const bodies = system.receiver.received.map(({ body }) => body);
    for (const name of FIXTURE_NAMES) expect(bodies).toContainEqual(forwardedBody(name));
    expect(bodies).toHaveLength(FIXTURE_NAMES.length);
    expect(system.receiver.unsigned).toEqual([]);
  });

  it('takes the same event as JSON for a duplicate of the form', async () => {
    const before = await outcomes('duplicate');
    await system.post(messageBody(500));
    await waitUntil('it is forwarded', () => system.forwardedMessageIds().has(500));
    const json = JSON.parse(readFileSync('test/fixtures/ONIMCONNECTORMESSAGEADD.json', 'utf8')) as {
      data: { MESSAGES: { im: { message_id: number } }[] };
    };
    for (const message of json.data.MESSAGES) message.im.message_id = 500;
    const response = await fetch(system.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(json),
    });
    expect(response.status).toBe(200);
    await waitUntil('it is a duplicate', async () => (await outcomes('duplicate')) === before + 1);
    expect(system.receiver.received).toHaveLength(1);
  });

  it('forwards one body that came five times at once once, and two messages of one second twice', async () => {
    const before = await outcomes('duplicate');
    const answers = await Promise.all(Array.from({ length: 5 }, () => system.post(messageBody(600))));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(5);
    await system.post(messageBody(601));
    await system.allForwarded([600, 601]);
    await waitUntil('four are duplicates', async () => (await outcomes('duplicate')) === before + 4);
    expect(system.receiver.received).toHaveLength(2);
  });

  it('does the true event although a forged copy of it came first', async () => {
    const before = await outcomes('rejected');
    await system.post(messageBody(700, { 'auth[application_token]': 'forged' }));
    await waitUntil('the copy is rejected', async () => (await outcomes('rejected')) === before + 1);
    await system.post(messageBody(700));
    await system.allForwarded([700]);
  });

  it("rejects one portal's token with another's member_id", async () => {
    const before = await outcomes('rejected');
    const changes = { 'auth[application_token]': OTHER_TOKEN };
    await system.post(formBody('ONIMCONNECTORSTATUSDELETE', changes));
    await waitUntil('it is rejected', async () => (await outcomes('rejected')) === before + 1);
    expect(system.receiver.received).toHaveLength(0);
    await system.post(formBody('ONIMCONNECTORDIALOGSTART', { ...changes, 'auth[member_id]': OTHER_MEMBER_ID }));
    await waitUntil('its own portal may use it', () => system.receiver.received.length === 1);
  });
});
