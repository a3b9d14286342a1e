import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { NoteOutbox } from '../../src/shared/alerts/note-outbox.js';
import { createNote, type AlertNote } from '../../src/shared/alerts/send-note.js';
import { waitUntil } from '../support/wait-until.js';

interface Sending {
  readonly note: AlertNote;
  succeed(): void;
  fail(): void;
}

let sendings: Sending[];
let outbox: NoteOutbox;

beforeEach(() => {
  sendings = [];
  const send = (note: AlertNote): Promise<void> =>
    new Promise((resolve, reject) => {
      sendings.push({ note, succeed: resolve, fail: () => reject(new Error('no answer')) });
    });
  outbox = new NoteOutbox({ send, logger: pino({ level: 'silent' }), retryFirstMs: 5 });
});

afterEach(() => outbox.stop());

function noteOf(type: AlertNote['type'], alert: 'events-old' | 'redis-memory' = 'events-old'): AlertNote {
  return createNote(type, { alert, summary: 'a summary', sinceMs: 0, instance: 'worker@host' });
}

async function sending(count: number): Promise<Sending> {
  await waitUntil(`attempt ${count}`, () => sendings.length >= count, { timeoutMs: 5000 });
  const found = sendings[count - 1];
  if (!found) throw new Error('there is no such attempt');
  return found;
}

describe('NoteOutbox', () => {
  it('tries the same note again until it arrives', async () => {
    const firing = noteOf('alert.firing');
    outbox.put(firing);
    (await sending(1)).fail();
    (await sending(2)).fail();
    const last = await sending(3);
    expect(outbox.has('events-old')).toBe(true);
    last.succeed();
    await waitUntil('it has arrived', () => !outbox.has('events-old'));
    expect(sendings.map((one) => one.note)).toEqual([firing, firing, firing]);
  });

  it('sends newer news only after the attempt under way, which a receiver may yet take', async () => {
    outbox.put(noteOf('alert.firing'));
    const first = await sending(1);
    outbox.put(noteOf('alert.resolved'));
    expect(sendings).toHaveLength(1);
    first.succeed();
    expect((await sending(2)).note.type).toBe('alert.resolved');
  });

  it('forgets a note in favour of newer news', async () => {
    outbox.put(noteOf('alert.firing'));
    (await sending(1)).fail();
    outbox.put(noteOf('alert.resolved'));
    (await sending(2)).succeed();
    await waitUntil('it has arrived', () => !outbox.has('events-old'));
    expect(sendings.map((one) => one.note.type)).toEqual(['alert.firing', 'alert.resolved']);
  });

  it('keeps the notes of different alerts apart', async () => {
    outbox.put(noteOf('alert.firing'));
    outbox.put(noteOf('alert.firing', 'redis-memory'));
    (await sending(2)).succeed();
    await waitUntil('the second has arrived', () => !outbox.has('redis-memory'));
    expect(outbox.has('events-old')).toBe(true);
  });
});
