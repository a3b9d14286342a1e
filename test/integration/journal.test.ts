import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { JournalProcess } from '../support/journal-process.js';
import { waitUntil } from '../support/wait-until.js';

let dataDir: string;
let processes: JournalProcess[];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'b24-test-journal-'));
  processes = [];
});

afterEach(async () => {
  await Promise.all(processes.map((process) => process.kill()));
  await rm(dataDir, { recursive: true, force: true });
});

async function startProcess(dir = dataDir): Promise<JournalProcess> {
  const process = await JournalProcess.start(dir);
  processes.push(process);
  return process;
}

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}

describe('the journal', () => {
  it('has every acknowledged record, in order, after kill -9', async () => {
    const first = await startProcess();
    expect(await first.append('a', 1000)).toBe(1000);
    await first.kill();

    const second = await startProcess();

    expect(await second.adoptAndRead()).toEqual(numbered('a', 1000));
  });

  it('begins a folder of its own at every start', async () => {
    const first = await startProcess();
    const [before] = await first.folders();
    await first.kill();

    const second = await startProcess();

    expect(await second.folders()).toHaveLength(2);
    expect((await second.folders())[0]).toBe(before);
  });

  it('is never shared by two processes that live, whatever they look for', async () => {
    const first = await startProcess();
    const second = await startProcess();
    await first.append('first', 10);
    await second.append('second', 10);

    expect(await first.adoptAndRead()).toEqual(numbered('first', 10));
    expect(await second.adoptAndRead()).toEqual(numbered('second', 10));
  });

  it('is taken over by exactly one of several that live when its process dies', async () => {
    const dying = await startProcess();
    await dying.append('a', 10);
    const [abandoned = ''] = await dying.folders();
    const others = await Promise.all([startProcess(), startProcess(), startProcess()]);

    await dying.kill();

    const holders = async (): Promise<number> => {
      const held = await Promise.all(others.map((other) => other.folders()));
      return held.filter((folders) => folders.includes(abandoned)).length;
    };
    await waitUntil('the journal is taken over', async () => (await holders()) > 0);
    expect(await holders()).toBe(1);
  });

  it('is gone from the disk when the one that took it over removes it, and no other process finds it again', async () => {
    const first = await startProcess();
    await first.append('a', 10);
    await first.kill();
    const second = await startProcess();
    const third = await startProcess();

    await second.removeAdopted();

    expect(await readdir(join(dataDir, 'journal'))).toHaveLength(2);
    expect(await third.adoptAndRead()).toEqual([]);
  });

  it('clears away what a process left half removed, or died before it began', async () => {
    await mkdir(join(dataDir, 'journal', 'left.gone'), { recursive: true });
    await writeFile(join(dataDir, 'journal', 'left.gone', '000003.log'), 'x');
    await mkdir(join(dataDir, 'journal', 'begun'));

    const process = await startProcess();
    await process.removeAdopted();

    expect(await readdir(join(dataDir, 'journal'))).toEqual(await process.folders());
  });
});

const isRoot = process.getuid?.() === 0;
if (!isRoot) process.stderr.write('skipped: the journal on a full disk (needs root, to mount a small tmpfs)\n');

(isRoot ? describe : describe.skip)('the journal on a disk that was full', () => {
  let mountPoint: string;

  beforeEach(() => {
    mountPoint = dataDir;
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mountPoint]);
  });

  afterEach(async () => {
    await Promise.all(processes.map((process) => process.kill()));
    execFileSync('umount', [mountPoint]);
  });

  /** Until a write fails for want of room. */
  async function fillDisk(writer: JournalProcess): Promise<void> {
    await writeFile(join(mountPoint, 'ballast'), Buffer.alloc(64 * 1024 * 1024)).catch(() => undefined);
    await waitUntil('a write fails', async () => (await writer.append('x'.repeat(100), 10)) < 10);
  }

  async function makeRoom(process: JournalProcess): Promise<void> {
    await rm(join(mountPoint, 'ballast'));
    await waitUntil('the journal takes records again', async () => (await process.append('probe', 1)) === 1);
  }

  it('has each of 200 records that were acknowledged after there was room again, after kill -9', async () => {
    const writer = await startProcess();
    // The first write that finds no room must be cut in the middle: the loss of what comes behind it depends on that.
    await writer.append('before', 10);
    await fillDisk(writer);
    await makeRoom(writer);

    let acknowledged = 0;
    for (let round = 0; round < 20; round += 1) acknowledged += await writer.append(`kept${round}.`, 10);
    expect(acknowledged).toBe(200);
    await writer.kill();

    const records = new Set(await (await startProcess()).adoptAndRead());
    const lost = Array.from({ length: 20 }, (_, round) => numbered(`kept${round}.`, 10))
      .flat()
      .filter((text) => !records.has(text));
    expect(lost).toEqual([]);
  });

  it('loses nothing where a neighbour takes its folder over while it is closed', async () => {
    const neighbour = await startProcess();
    const writer = await startProcess();
    await writer.append('before', 10);
    await fillDisk(writer);
    await makeRoom(writer);
    await writer.append('after', 10);
    await writer.kill();

    const expected = [...numbered('before', 10), ...numbered('after', 10)];
    await waitUntil('the neighbour has all of them', async () => {
      const records = new Set(await neighbour.adoptAndRead());
      return expected.every((text) => records.has(text));
    });
    expect(await neighbour.append('own', 1)).toBe(1);
  });

  it('lets a process start while it is full, which takes records when there is room', async () => {
    const writer = await startProcess();
    await writer.append('before', 10);
    await fillDisk(writer);
    await writer.kill();

    const late = await startProcess();
    expect(await late.append('refused', 1)).toBe(0);
    await makeRoom(late);
    expect(await late.append('after', 10)).toBe(10);
    const records = new Set<string>();
    await waitUntil('it has what was left too', async () => {
      for (const text of await late.adoptAndRead()) records.add(text);
      return numbered('before', 10).every((text) => records.has(text));
    });
  });

  it('believes nothing after a deletion that failed until it was opened anew', async () => {
    const writer = await startProcess();
    await writer.append('before', 10);
    await writeFile(join(mountPoint, 'ballast'), Buffer.alloc(64 * 1024 * 1024)).catch(() => undefined);
    await waitUntil('a deletion fails', () => writer.failsToPurge(1));
    await makeRoom(writer);

    expect(await writer.append('after', 200)).toBe(200);
    await writer.kill();

    const records = new Set(await (await startProcess()).adoptAndRead());
    expect(numbered('after', 200).filter((text) => !records.has(text))).toEqual([]);
  });
});
