import { chmod, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { installRedisPackage } from '../../src/cli/redis/package-manager.js';

describe('the package manager of the system', () => {
  let bin: string;
  let said: string[];

  beforeEach(async () => {
    bin = await realpath(await mkdtemp(join(tmpdir(), 'b24-packages-')));
    said = [];
  });

  afterEach(async () => {
    await rm(bin, { recursive: true, force: true });
  });

  /** A program that only writes down how it was called. */
  async function pretend(program: string, exitCode = 0, refusedVerb = 'none'): Promise<void> {
    const script = `#!/bin/sh
      echo "${program} $* [$RUNLEVEL $SYSTEMD_OFFLINE $DEBIAN_FRONTEND]" >> '${bin}/calls'
      echo 'what it said'
      [ "$1" = '${refusedVerb}' ] && exit 1
      exit ${exitCode}`;
    await writeFile(join(bin, program), script);
    await chmod(join(bin, program), 0o755);
  }

  function install(isRoot = true): Promise<boolean> {
    return installRedisPackage({ env: { PATH: bin }, isRoot, say: (line) => void said.push(line) });
  }

  function calls(): Promise<string> {
    return readFile(join(bin, 'calls'), 'utf8').catch(() => '');
  }

  test('apt-get: says so first, starts no service now, and none at the next boot', async () => {
    await pretend('apt-get');
    await pretend('systemctl', 0, 'is-enabled');

    await expect(install()).resolves.toBe(true);

    expect(said).toEqual([expect.stringMatching(/^installing Redis with apt-get, .* its own service is not started$/)]);
    const [, update, installation, disable] = (await calls()).split('\n');
    expect(update).toMatch(/^apt-get .*update \[1 1 noninteractive\]$/);
    expect(installation).toMatch(/^apt-get .*install -y .*redis-server \[1 1 noninteractive\]$/);
    expect(disable).toMatch(/^systemctl disable redis-server\.service/);
  });

  test('leaves a service alone that was set up before', async () => {
    await pretend('apt-get');
    await pretend('systemctl');

    await expect(install()).resolves.toBe(true);

    await expect(calls()).resolves.not.toContain('disable');
  });

  test.each(['apk', 'dnf'])('%s is used where it is what there is', async (program) => {
    await pretend(program);

    await expect(install()).resolves.toBe(true);

    await expect(calls()).resolves.toContain(`${program} `);
  });

  test('is not touched by a user who is not root', async () => {
    await pretend('apt-get');

    await expect(install(false)).resolves.toBe(false);

    await expect(calls()).resolves.toBe('');
  });

  test('says what it said when it fails', async () => {
    await pretend('apk', 1);

    await expect(install()).resolves.toBe(false);

    expect(said.at(-1)).toBe('apk could not install it: what it said');
  });
});
