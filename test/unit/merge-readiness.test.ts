import { describe, expect, it } from '@jest/globals';
import { mergeReadiness, type ToldReadiness } from '../../src/api/merge-readiness.js';

const FACTS = { journalRecords: 1, journalOldestAgeSeconds: 5, journalBytes: 100, diskFreeBytes: 1000 };

function told(pid: number, problems: readonly string[], facts: Partial<typeof FACTS> = {}): ToldReadiness {
  return { pid, readiness: { problems, warnings: ['Redis is away'], facts: { ...FACTS, ...facts } } };
}

describe('the readiness of several ingress processes', () => {
  it('is that of the one that can write; what the others lack is a warning', () => {
    expect(mergeReadiness([told(1, ['the journal is reopening']), told(2, [])])).toMatchObject({
      problems: [],
      warnings: ['process 1: the journal is reopening', 'Redis is away'],
    });
  });

  it('is none where none can write, with each reason once', () => {
    expect(mergeReadiness([told(1, ['the disk is full']), told(2, ['the disk is full'])])).toMatchObject({
      problems: ['the disk is full'],
      warnings: ['Redis is away'],
    });
  });

  it('warns of those that start or do not answer, and is none where that is all of them', () => {
    const absent: ToldReadiness[] = [
      { pid: 1, readiness: 'starting' },
      { pid: 2, readiness: 'silent' },
    ];
    const warnings = ['process 1 is starting', 'process 2 does not answer'];
    expect(mergeReadiness([...absent, told(3, [])])).toMatchObject({
      problems: [],
      warnings: [...warnings, 'Redis is away'],
    });
    expect(mergeReadiness(absent)).toEqual({
      problems: ['no ingress process takes events'],
      warnings,
      facts: { processes: 2, processesReady: 0 },
    });
  });

  it('adds up what each has alone, and takes the worst of what they share', () => {
    const { facts } = mergeReadiness([told(1, []), told(2, [], { journalOldestAgeSeconds: 9, diskFreeBytes: 500 })]);
    expect(facts).toEqual({
      processes: 2,
      processesReady: 2,
      journalRecords: 2,
      journalOldestAgeSeconds: 9,
      journalBytes: 100,
      diskFreeBytes: 500,
    });
  });
});
