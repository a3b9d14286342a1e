import { beforeEach, describe, expect, it } from '@jest/globals';
import { Backlog } from '../../src/api/backlog.js';
import type { RecordSource } from '../../src/api/journal.js';

/** A journal in memory, by the times at which its records were received. */
class FakeSource implements RecordSource {
  reads = 0;
  read: RecordSource['read'] = (after, recordsMax) => {
    this.reads += 1;
    const records = this.times.map((receivedAtMs, i) => ({ sequence: i + 1, text: JSON.stringify({ receivedAtMs }) }));
    return Promise.resolve(records.slice(after, after + (recordsMax ?? 256)));
  };

  constructor(
    readonly id: string,
    readonly times: readonly number[],
    readonly lastSequence = times.length,
  ) {}

  readProgress = (): Promise<undefined> => Promise.resolve(undefined);
  writeProgress = (): Promise<void> => Promise.resolve();
  purge = (): Promise<void> => Promise.resolve();
}

let confirmed: Map<RecordSource, number>;
let sources: FakeSource[];
let backlog: Backlog;

beforeEach(() => {
  confirmed = new Map();
  sources = [];
  backlog = new Backlog({ sources: () => sources, confirmedOf: (source) => confirmed.get(source) ?? 0 });
});

describe('what waits in the journals', () => {
  it('is nothing where all is confirmed', async () => {
    sources = [new FakeSource('own', [1000, 2000])];
    confirmed.set(sources[0] as RecordSource, 2);
    expect(await backlog.look()).toEqual({ records: 0, oldestAtMs: undefined });
  });

  it('is counted over all of them, with the oldest of all that are not confirmed', async () => {
    sources = [new FakeSource('adopted', [1000, 5000]), new FakeSource('own', [3000, 4000])];
    confirmed.set(sources[0] as RecordSource, 1);
    expect(await backlog.look()).toEqual({ records: 3, oldestAtMs: 3000 });
  });

  it('is nothing where the last records were turned away, and so are not there', async () => {
    sources = [new FakeSource('own', [], 7)];
    expect(await backlog.look()).toEqual({ records: 0, oldestAtMs: undefined });
  });

  it('is read once for as long as the same record is the oldest', async () => {
    const own = new FakeSource('own', [1000, 2000]);
    sources = [own];
    await backlog.look();
    await backlog.look();
    expect(own.reads).toBe(1);
    confirmed.set(own, 1);
    expect(await backlog.look()).toEqual({ records: 1, oldestAtMs: 2000 });
  });

  it('keeps the age that was known, where the journal cannot be read', async () => {
    const own = new FakeSource('own', [1000, 2000, 3000]);
    sources = [own];
    await backlog.look();
    own.read = () => Promise.reject(new Error('it is being opened anew'));
    confirmed.set(own, 1);
    expect(await backlog.look()).toEqual({ records: 2, oldestAtMs: 1000 });
  });

  it('answers in time where the disk hangs', async () => {
    const own = new FakeSource('own', [1000]);
    own.read = () => new Promise(() => undefined);
    sources = [own];
    expect(await backlog.look()).toEqual({ records: 1, oldestAtMs: undefined });
  });
});
