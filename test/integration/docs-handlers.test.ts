import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findFreePort } from '../../src/cli/free-port.js';
import { AppBench, CONNECTOR, LINE } from '../support/app-bench.js';
import { PageBlocks, writeFiles } from '../support/page-blocks.js';
import { useSharedRedis } from '../support/shared-redis.js';
import type { SystemProcess } from '../support/system.js';
import { waitUntil } from '../support/wait-until.js';

const run = promisify(execFile);

const page = new PageBlocks('docs/handlers.md');
const exampleFiles = [...new Set(page.all.map(({ file }) => file))].filter((file) => /^handlers\/.*\.js$/.test(file));
const connector = Object.fromEntries(exampleFiles.map((file) => [file, page.lastOf(file)]));

let bench: AppBench;

beforeAll(async () => {
  bench = await AppBench.start();
});

afterAll(() => bench.close());

/** A worker with code of the page, in a folder of its own. */
async function startWith(name: string, files: Readonly<Record<string, string>>): Promise<SystemProcess> {
  return bench.startWorker(join(await writeFiles(join(bench.dir, name), files), 'handlers'));
}

function logOf(worker: SystemProcess): readonly Record<string, unknown>[] {
  return worker.logged('handler.log');
}

describe('the steps of docs/handlers.md', () => {
  const steps = page.versionsOf('handlers/messenger.js');

  it('begin with a handler that writes what an operator writes to the log', async () => {
    const worker = await startWith('first', { 'handlers/messenger.js': steps[0] ?? '' });
    await bench.say('Good morning');
    await waitUntil('it is in the log', () => logOf(worker).length > 0);
    expect(logOf(worker)[0]).toMatchObject({ msg: 'an operator writes', fields: { text: 'Good morning' } });
    await bench.end(worker);
  });

  it('go on to one that delivers a message once and confirms it, though the portal fails in between', async () => {
    const worker = await startWith('second', { 'handlers/messenger.js': steps[1] ?? '' });
    bench.portal.faults.next(2, { kind: 'status', status: 503 }, 'imconnector.send.status.delivery');
    const id = await bench.say('How are you?');
    await bench.confirmed(id);
    const [delivered] = bench.delivered('How are you?');
    expect(delivered).toMatchObject({ chat: 'chat-7', requests: 1 });
    expect(bench.confirmationsOf(id)).toEqual([
      {
        im: { chat_id: 7, message_id: id },
        message: { id: [delivered?.id], date: expect.any(Number) },
        chat: { id: 'chat-7' },
      },
    ]);
    await bench.end(worker);
  });

  it('end with what the folder handlers holds', async () => {
    expect(new Set(exampleFiles)).toEqual(new Set((await readdir('handlers')).map((file) => `handlers/${file}`)));
    for (const file of exampleFiles) expect([file, connector[file]]).toEqual([file, readFileSync(file, 'utf8')]);
  });
});

describe('the handler in README.md', () => {
  it('delivers a message and confirms it', async () => {
    const code = new PageBlocks('README.md').all.find(({ language }) => language === 'js')?.code ?? '';
    const worker = await startWith('readme', { 'handlers/greeting.js': code });
    const id = await bench.say('Good evening');
    await bench.confirmed(id);
    expect(bench.delivered('Good evening')).toHaveLength(1);
    await bench.end(worker);
  });
});

describe('a folder of handlers, as docs/handlers.md says', () => {
  it('ends the worker with 78 where a module is at fault', async () => {
    const started = startWith('broken', { 'handlers/broken.js': 'export default {' });
    await expect(started).rejects.toThrow(/ended with 78:[^]*broken\.js, line 1/);
  });

  it('is loaded with a misspelt event, which is told as handler.event_unknown', async () => {
    const events = ['ONIMCONNECTORMESAGEADD', 'ONAPPTEST', 'ONCRMDEALADD', 'ONAPPINSTALL'];
    const code = `export default { name: 'x', events: ${JSON.stringify(events)}, run() {} };`;
    const worker = await startWith('misspelt', { 'handlers/misspelt.js': code });
    const told = worker.logged('handler.event_unknown').map(({ eventName }) => eventName);
    expect(told).toEqual(['ONIMCONNECTORMESAGEADD']);
    await bench.end(worker);
  });
});

describe('the connector of docs/handlers.md', () => {
  let worker: SystemProcess;

  beforeAll(async () => {
    worker = await startWith('connector', connector);
  });

  afterAll(() => bench.end(worker));

  it('delivers plain text, and files as addresses', async () => {
    const files = [{ name: 'plan.pdf', downloadLink: 'https://files.example/plan.pdf' }];
    await bench.confirmed(await bench.say('[b]Klaus:[/b] [br]see [url=https://a.example]this[/url]', { files }));
    expect(
      bench.delivered('Klaus:\nsee this (https://a.example)\nplan.pdf: https://files.example/plan.pdf'),
    ).toHaveLength(1);
  });

  it('edits what was edited and confirms it, and deletes what was deleted', async () => {
    const messageId = await bench.say('tpyo');
    await bench.confirmed(messageId);
    const [message] = bench.delivered('tpyo');
    const id = [message?.id];
    await bench.portal.send('ONIMCONNECTORMESSAGEUPDATE', bench.messages(messageId, { id, text: 'typo' }));
    await bench.confirmed(messageId, 2);
    expect(message).toMatchObject({ text: 'typo', edits: 1 });
    await bench.portal.send('ONIMCONNECTORMESSAGEDELETE', bench.messages(messageId, { id: message?.id }));
    await waitUntil('it is deleted', () => message?.isDeleted === true);
    await bench.portal.send('ONIMCONNECTORMESSAGEDELETE', bench.messages(messageId, { id: 'ext-gone-before' }));
    await waitUntil('that is no fault', () => deletions().length === 2);
  });

  function deletions(): readonly unknown[] {
    const done = worker.logged('effect.done').filter(({ effect }) => effect === 'handler-messenger');
    return done.filter(({ eventName }) => eventName === 'ONIMCONNECTORMESSAGEDELETE');
  }

  it('tries again what the messenger cannot take now, and gives up what it refuses', async () => {
    const { faults } = bench.simulator.messenger;
    faults.next(1, { kind: 'status', status: 429, headers: { 'retry-after': '1' } });
    faults.next(1, { kind: 'status', status: 500 });
    faults.next(1, { kind: 'reset' });
    await bench.confirmed(await bench.say('patience'));
    expect(bench.delivered('patience')).toHaveLength(1);
    await bench.portal.send('ONIMCONNECTORMESSAGEUPDATE', bench.messages(bench.nextMessageId(), { id: ['ext-0'] }));
    expect(await failed()).toMatch(/^HANDLER_NEVER: .*the messenger answers 404 to PUT \/messages\/ext-0/);
  });

  it('leaves out other connectors and one that is off, and lets the messenger forget a line', async () => {
    const { portal } = bench;
    const before = bench.simulator.messenger.messages.size;
    const elsewhere = { ...bench.messages(bench.nextMessageId(), { text: 'to nobody' }), LINE: 2 };
    await portal.send('ONIMCONNECTORMESSAGEADD', { ...elsewhere, CONNECTOR: 'another_one' });
    await said('left out: not my connector');
    // In one second, of which the deletion counts: a message of a later one says that the connector is on again.
    const sameSecond = { ts: Math.floor(Date.now() / 1000) };
    await portal.send('ONIMCONNECTORSTATUSDELETE', { connector: CONNECTOR, line: 2 }, sameSecond);
    await waitUntil('it is known to be off', async () => (await stateOf(`${CONNECTOR}|2`))?.endsWith(' off') === true);
    await portal.send('ONIMCONNECTORMESSAGEADD', elsewhere, sameSecond);
    await said('left out: the connector is off');
    await portal.send('ONIMCONNECTORLINEDELETE', 2);
    const { forgottenLines, messages } = bench.simulator.messenger;
    await waitUntil('both events have been heeded', () => forgottenLines.length === 2);
    expect(new Set(forgottenLines)).toEqual(new Set([`${portal.memberId} 2`]));
    expect(messages.size).toBe(before);
  });

  function stateOf(field: string): Promise<string | null> {
    return bench.shared.redis.hget(bench.shared.keys.connectors(bench.portal.memberId), field);
  }

  function said(text: string): Promise<void> {
    return waitUntil(`it says "${text}"`, () => logOf(worker).some(({ msg }) => msg === text));
  }

  it('brings in what a customer writes once, as the commands and the program on the page post it', async () => {
    const { url, port } = { url: `${bench.url}/events`, port: Number(new URL(bench.simulator.url).port) };
    const settings = JSON.stringify({ url, port, incomingSecret: bench.incomingSecret });
    const files = { 'send-message.js': page.lastOf('send-message.js'), 'data/simulator.json': settings };
    const cwd = await writeFiles(bench.dir, files);
    const commands = page.all.find(({ language, code }) => language === 'sh' && code.includes('send-message.js'))?.code;
    bench.switchLine(false);
    const send = "node send-message.js msg-1 'Hello'\n";
    expect(commands?.endsWith(`\n${send}`)).toBe(true);
    const { stdout } = await run('sh', ['-ec', `${commands}${send}`], { cwd });
    expect(stdout).toMatch(/^(200 {"status":"accepted".*\n){2}$/);
    await write('chat-8');
    await waitUntil('both are in the portal', () => chats().length >= 2);
    expect(chats()).toEqual(['chat-7', 'chat-8']);
  });

  it('names the variable that the program on the page lacks', async () => {
    const env = { ...process.env, APP_URL: bench.url, INCOMING_SECRET: bench.incomingSecret };
    const sent = run(process.execPath, ['send-message.js', 'msg-1', 'Hello'], { cwd: bench.dir, env });
    await expect(sent).rejects.toMatchObject({ stderr: expect.stringContaining('Error: MEMBER_ID is not set') });
  });

  it('leaves a message that Bitrix24 refuses to a person, who may retry it', async () => {
    bench.switchLine(false);
    await write('chat-9');
    expect(await failed('kept')).toMatch(/^HANDLER_NEVER: .*NOT_ACTIVE_LINE/);
    bench.switchLine(true);
    const [job] = await bench.effects.getFailed();
    await job?.retry('failed', { resetAttemptsMade: true });
    await waitUntil('it is in the portal', () => chats().includes('chat-9'));
  });

  function write(chat: string): Promise<unknown> {
    const { memberId } = bench.portal;
    return bench.simulator.messenger.write({ memberId, connector: CONNECTOR, line: LINE, chat, text: 'Hi' });
  }

  function chats(): readonly unknown[] {
    return bench.portal.state.incoming.map(({ message }) => (message['chat'] as { readonly id: string }).id);
  }
});

/** The reason of the one effect that has failed for good, which is gone afterwards unless it is kept. */
async function failed(then: 'removed' | 'kept' = 'removed'): Promise<string> {
  await waitUntil('an effect fails for good', async () => (await bench.effects.getFailedCount()) > 0);
  const [job] = await bench.effects.getFailed();
  if (then === 'removed') await job?.remove();
  return job?.failedReason ?? '';
}

describe('docs/handlers.md', () => {
  it('shows no code that is not run here, but for commands', () => {
    const ran = new Set([...exampleFiles, 'send-message.js', 'handlers/finished-dialogs.ts']);
    expect(page.all.filter(({ language, file }) => language !== 'sh' && !ran.has(file))).toEqual([]);
  });

  it('shows TypeScript that compiles, with the payload of its event alone, and runs', async () => {
    const code = page.lastOf('handlers/finished-dialogs.ts');
    const wrong = code.replace('event.payload.dialogs', 'event.payload.messages');
    const folder = await writeFiles(join(bench.dir, 'typescript'), { 'right.ts': code, 'wrong.ts': wrong });
    await compile(folder, 'right.ts');
    const refused = { stdout: expect.stringContaining("Property 'messages' does not exist") };
    await expect(compile(folder, 'wrong.ts')).rejects.toMatchObject(refused);
    await rm(join(folder, 'handlers', 'wrong.js'), { force: true });
    const worker = await bench.startWorker(join(folder, 'handlers'));
    await bench.portal.send('ONIMCONNECTORDIALOGFINISH');
    await waitUntil('it is in the log', () => logOf(worker).length > 0);
    expect(logOf(worker)[0]).toMatchObject({ msg: 'a dialog has ended' });
    await bench.end(worker);
  });

  function compile(cwd: string, file: string): Promise<unknown> {
    const options = '--strict --target es2023 --module nodenext --noEmitOnError --outDir handlers'.split(' ');
    const tsc = resolve('node_modules/typescript/bin/tsc');
    return run(process.execPath, [tsc, file, ...options, '--types', ''], { cwd });
  }

  it('shows a test of the connector that passes', async () => {
    const folder = await writeFiles(join(bench.dir, 'tested'), connector);
    const shared = useSharedRedis();
    const more = { API_PORT: String(await findFreePort()), REDIS_URL: shared.url, QUEUE_PREFIX: shared.prefix };
    const env = { ...process.env, ...more, DISK_FREE_BYTES_MIN: '0', EFFECT_BACKOFF_MS: '50' };
    const test = join(folder, 'handlers', 'messenger.test.js');
    const { stdout } = await run(process.execPath, ['--test', '--test-reporter', 'tap', test], { env });
    expect(stdout).toMatch(/^# pass 2$/m);
    await shared.close();
  });
});
