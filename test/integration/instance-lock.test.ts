import { mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { takeInstanceLock } from '../../src/cli/instance-lock.js';
import { NodeProcess } from '../support/node-process.js';

const MODULE = pathToFileURL('dist/cli/instance-lock.js').href;

describe('the lock of a data directory', () => {
  let dataDir: string;

  beforeEach(async () => {
    dataDir = await realpath(await mkdtemp(join(tmpdir(), 'b24-lock-')));
  });

  afterEach(async () => {
    await rm(dataDir, { recursive: true, force: true });
  });

  /** Another process that holds the lock until it is killed. */
  async function startHolder(): Promise<NodeProcess> {
    const code = `import { takeInstanceLock } from ${JSON.stringify(MODULE)};
      const lock = await takeInstanceLock(${JSON.stringify(dataDir)});
      console.log('taken');
      process.stdin.on('data', () => lock.release().then(() => console.log('released')));`;
    const holder = NodeProcess.ofCode(code);
    await holder.line(/^taken$/);
    return holder;
  }

  test('refuses a second process, and names the first', async () => {
    const holder = await startHolder();

    await expect(takeInstanceLock(dataDir)).rejects.toThrow(`process ${holder.pid} already runs on ${dataDir}`);

    await holder.kill();
  });

  test('refuses a second one that writes the directory in another way', async () => {
    const holder = await startHolder();
    const link = `${dataDir}-link`;
    await symlink(dataDir, link);

    await expect(takeInstanceLock(link)).rejects.toThrow(`process ${holder.pid} already runs on ${dataDir}`);

    await rm(link);
    await holder.kill();
  });

  test('ends with its process, kill -9 included, and the next one learns of that', async () => {
    const holder = await startHolder();
    await holder.kill('SIGKILL');

    const lock = await takeInstanceLock(dataDir);

    expect(lock.killedPid).toBe(holder.pid);
    await lock.release();
  });

  test('is free after its release, and the next one learns of no killed run', async () => {
    const holder = await startHolder();
    holder.child.stdin.write('release\n');
    await holder.line(/^released$/);

    const lock = await takeInstanceLock(dataDir);

    expect(lock.killedPid).toBeUndefined();
    await lock.release();
    await holder.kill();
  });

  test('is not taken twice within one process either, and its release may be repeated', async () => {
    const lock = await takeInstanceLock(dataDir);

    await expect(takeInstanceLock(dataDir)).rejects.toThrow(`process ${process.pid} already runs`);

    await lock.release();
    await lock.release();
  });

  test('names DATA_DIR when it is no directory', async () => {
    const file = join(dataDir, 'file');
    await writeFile(file, '');

    await expect(takeInstanceLock(file)).rejects.toThrow(/^DATA_DIR: expected a directory/);
  });
});
