import { beforeEach, describe, expect, it } from '@jest/globals';
import { DrainPositions } from '../../src/api/drain-positions.js';
import type { RecordSource } from '../../src/api/journal.js';
import type { JournalRecord, Progress } from '../../src/api/journal-folder.js';
import { createLogger } from '../../src/shared/logger.js';

const HOLD_MS = 60_000;

let nowMs: number;
let removed: string[];
let sources: FakeSource[];
let positions: DrainPositions;

beforeEach(() => {
  nowMs = 0;
  removed = [];
  sources = [new FakeSource('own', 10)];
  positions = new DrainPositions({
    journals: {
      get sources() {
        return sources;
      },
      remove: (source) => Promise.resolve(void removed.push(source.id)),
    },
    logger: createLogger('silent', 'test'),
    nowMs: () => nowMs,
    holdMs: HOLD_MS,
  });
});

/** A journal in memory. */
class FakeSource implements RecordSource {
  progress: Progress | undefined;
  purgedTo = 0;

  constructor(
    readonly id: string,
    readonly lastSequence: number,
  ) {}

  read(after: number): Promise<JournalRecord[]> {
    const count = Math.max(this.lastSequence - after, 0);
    return Promise.resolve(
      Array.from({ length: count }, (_, index) => ({ sequence: after + 1 + index, text: this.id })),
    );
  }

  readProgress(): Promise<Progress | undefined> {
    return Promise.resolve(this.progress);
  }

  writeProgress(progress: Progress): Promise<void> {
    this.progress = progress;
    return Promise.resolve();
  }

  purge(_from: number, to: number): Promise<void> {
    this.purgedTo = to;
    return Promise.resolve();
  }
}

async function look(atMs: number, identity = 'this'): Promise<void> {
  nowMs = atMs;
  await positions.settle({ identity, checkedAtMs: atMs, connection: 0 });
}

/** Sends all that is left of the next journal. */
async function sendNext(): Promise<string | undefined> {
  const place = await positions.next();
  const last = place?.records.at(-1);
  if (last) place?.position.confirm(last.sequence, nowMs);
  return last?.text;
}

describe('the positions of the drain', () => {
  it('deletes what was confirmed when the same Redis was seen again after the hold, not before', async () => {
    await look(0);
    await sendNext();
    await look(HOLD_MS - 1);
    expect(sources[0]?.purgedTo).toBe(0);
    await look(HOLD_MS);
    expect(sources[0]?.purgedTo).toBe(10);
  });

  it('deletes nothing, however late, when another Redis is seen, and sends it again', async () => {
    await look(0);
    await sendNext();
    await look(HOLD_MS * 10, 'another');
    expect(sources[0]?.purgedTo).toBe(0);
    expect(await sendNext()).toBe('own');
  });

  it('sends older journals first, also when they must be sent again', async () => {
    sources = [new FakeSource('older', 5), new FakeSource('own', 5)];
    await look(0);
    expect([await sendNext(), await sendNext(), await sendNext()]).toEqual(['older', 'own', undefined]);
    await look(1000, 'another');
    expect([await sendNext(), await sendNext(), await sendNext()]).toEqual(['older', 'own', undefined]);
  });

  it('removes a journal when all of it was held long enough', async () => {
    await look(0);
    await sendNext();
    await look(HOLD_MS - 1);
    expect(removed).toEqual([]);
    await look(HOLD_MS);
    expect(removed).toEqual(['own']);
  });

  it('goes on where it was saved, if it is the same Redis', async () => {
    const [source] = sources;
    if (source) source.progress = { confirmed: 10, purged: 0, redis: 'this' };
    await look(0);
    expect(await sendNext()).toBeUndefined();
    expect(positions.waiting).toBe(0);
  });
});
