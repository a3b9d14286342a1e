import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SenderList, type SenderListDeps } from '../../src/api/sender-list.js';
import { ConfigError } from '../../src/shared/config.js';
import { createLogger } from '../../src/shared/logger.js';
import { waitUntil } from '../support/wait-until.js';

const logger = createLogger('silent', 'test');

let dataDir: string;
let list: SenderList | undefined;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'b24-test-senders-'));
});

afterEach(async () => {
  list?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

async function start(senderIps: readonly string[], deps: Partial<SenderListDeps> = {}): Promise<SenderList> {
  list = await SenderList.start({ config: { senderIps, dataDir }, logger, ...deps });
  return list;
}

const published = (...nodes: string[]) => ({ fetchList: () => Promise.resolve({ nodes }) });
const unreachable = { fetchList: () => Promise.reject(new Error('no network')) };

describe('the list of senders', () => {
  it('lets everybody in where none is set', async () => {
    expect((await start([])).isAllowed('8.8.8.8')).toBe(true);
  });

  it.each([
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '::ffff:10.1.2.3', true],
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '::ffff:10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['2001:db8::/32', '2001:db8:1::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['10.1.2.3', 'unknown', false],
    ['10.1.2.3', undefined, false],
  ])('with %s answers for %s: %s', async (sender, address, isAllowed) => {
    expect((await start([sender])).isAllowed(address)).toBe(isAllowed);
  });

  it('takes bitrix24 for the published addresses, beside its own', async () => {
    const senders = await start(['bitrix24', '10.0.0.1'], published('1.2.3.4', '5.6.0.0/16'));
    const allowed = ['1.2.3.4', '5.6.7.8', '10.0.0.1', '9.9.9.9'].map((address) => senders.isAllowed(address));
    expect(allowed).toEqual([true, true, true, false]);
  });

  it('starts with the list that was kept where it cannot be fetched', async () => {
    (await start(['bitrix24'], published('1.2.3.4'))).stop();
    expect((await start(['bitrix24'], unreachable)).isAllowed('1.2.3.4')).toBe(true);
    expect(JSON.parse(await readFile(join(dataDir, 'sender-ips.json'), 'utf8'))).toMatchObject({
      nodes: ['1.2.3.4', '1.2.3.4'],
    });
  });

  it.each([
    ['cannot be fetched', unreachable],
    ['is empty', published()],
    ['is none', { fetchList: () => Promise.resolve({ error: 'gone' }) }],
    ['holds what is no address', published('1.2.3.4', 'example.com')],
  ])('refuses to start where the published one %s and none was kept', async (_what, deps) => {
    await expect(start(['bitrix24'], deps)).rejects.toThrow(ConfigError);
  });

  it('takes over a newer list, and keeps the last one when a later fetch fails', async () => {
    let answers: { nodes: string[] } | undefined = { nodes: ['1.1.1.1'] };
    let count = 0;
    const fetchList = (): Promise<unknown> => {
      count += 1;
      return answers ? Promise.resolve(answers) : Promise.reject(new Error('no network'));
    };
    const senders = await start(['bitrix24'], { fetchList, refreshEveryMs: 5 });
    answers = { nodes: ['2.2.2.2'] };
    await waitUntil('the newer list holds', () => senders.isAllowed('2.2.2.2') && !senders.isAllowed('1.1.1.1'));
    answers = undefined;
    const before = count;
    await waitUntil('fetches failed', () => count > before + 4);
    expect(senders.isAllowed('2.2.2.2')).toBe(true);
  });
});
