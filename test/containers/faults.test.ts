import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { docker } from './docker-command.js';
import { startLoadBench, type LoadBench } from './load-bench.js';
import type { SteadyLoad } from './steady-load.js';
import { waitUntil } from '../support/wait-until.js';

let bench: LoadBench;
let load: SteadyLoad | undefined;

beforeAll(async () => {
  bench = await startLoadBench();
});

afterEach(() => load?.stop());

afterAll(() => bench?.close());

describe('under load', () => {
  test('a Redis that is killed and started again loses nothing, and nothing is turned away', async () => {
    load = bench.startLoad();
    await load.more(100);

    await bench.project.compose(['kill', 'redis']);
    await load.more(200);
    await bench.project.compose(['up', '--detach', '--no-recreate', 'redis']);
    await load.more(100);
    await load.stop();

    expect(load.turnedAway).toEqual([]);
    await bench.expectForwarded(load.accepted);
  });

  test.each(['api', 'worker', 'redis'])('a restart of %s turns nothing away and loses nothing', async (service) => {
    load = bench.startLoad();
    await load.more(100);

    await bench.project.compose(['restart', service]);
    await load.more(100);
    await load.stop();

    expect(load.turnedAway).toEqual([]);
    await bench.expectForwarded(load.accepted);
  });

  test('two instances that are restarted, killed and made anew at the same time turn nothing away', async () => {
    const { project } = bench;
    const twice = ['up', '--detach', '--no-deps', '--scale', 'api=2'];
    await project.compose([...twice, '--no-recreate', 'api']);
    load = bench.startLoad();
    await load.more(100);

    await project.compose(['restart', 'api']);
    await load.more(100);
    await project.compose(['kill', '--signal', 'KILL', 'api']);
    await project.compose(['start', 'api']);
    await load.more(100);
    await project.compose([...twice, '--force-recreate', 'api']);
    await load.more(100);
    await load.stop();
    await project.compose(['up', '--detach', '--no-deps', 'api']);

    expect(load.turnedAway).toEqual([]);
    await bench.expectForwarded(load.accepted);
  });

  test('a new configuration of the proxy is taken without a gap', async () => {
    load = bench.startLoad();
    await load.more(50);

    for (let times = 0; times < 3; times += 1) {
      await bench.project.compose(['kill', '--signal', 'USR2', 'proxy']);
      await load.more(50);
    }
    await load.stop();

    expect(load.turnedAway).toEqual([]);
    await bench.expectForwarded(load.accepted);
  });
});

test('a restart of the proxy refuses connections for a moment, and loses nothing of what was accepted', async () => {
  load = bench.startLoad();
  await load.more(50);

  await bench.project.compose(['restart', 'proxy']);
  await load.more(50);
  await load.stop();

  expect(load.turnedAway.filter((line) => !/ECONNREFUSED|ECONNRESET|UND_ERR_SOCKET/.test(line))).toEqual([]);
  await bench.expectForwarded(load.accepted);
});

test('what was accepted while no worker ran is done after down and up', async () => {
  await bench.project.compose(['stop', 'worker']);
  load = bench.startLoad();
  await load.more(100);
  await load.stop();

  await bench.project.compose(['down']);
  await bench.project.up();

  await bench.expectForwarded(load.accepted);
});

test('the journal of an ingress that is killed and removed is taken over by the other one', async () => {
  await bench.project.up('--scale', 'api=2');
  await bench.project.compose(['kill', 'redis']);
  load = bench.startLoad();
  await load.more(200);
  await load.stop();
  const [, killed] = await bench.project.containers('api');

  await docker(['rm', '--force', killed?.id ?? '']);
  await bench.project.compose(['up', '--detach', '--no-recreate', '--scale', 'api=1', 'api', 'redis']);

  await bench.expectForwarded(load.accepted);
  await waitUntil('one journal is left', async () => (await journals()).length === 1, { timeoutMs: 120_000 });
});

async function journals(): Promise<readonly string[]> {
  const listed = await bench.project.compose(['exec', '-T', 'api', 'ls', '/data/journal']);
  return listed.split('\n').filter(Boolean);
}
