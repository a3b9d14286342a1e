import { EXIT_CONFIG } from '../../src/shared/config.js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { StartError } from '../../src/shared/start-error.js';
import { HandlerBench } from '../support/handler-bench.js';
import { waitUntil } from '../support/wait-until.js';

let bench: HandlerBench;

beforeEach(async () => {
  bench = await HandlerBench.open();
});

afterEach(() => bench.close());

const runsTypeScript = Boolean(Reflect.get(process.features, 'typescript'));

async function faultOfStart(more: Parameters<HandlerBench['start']>[0] = {}): Promise<string> {
  return (await errorOfStart(more)).message;
}

async function errorOfStart(
  more: Parameters<HandlerBench['start']>[0] = {},
): Promise<{ readonly message: string; readonly exitCode?: number }> {
  return bench.start(more).then(
    () => ({ message: 'none' }),
    (error: unknown) => error as StartError,
  );
}

describe('the modules of HANDLERS_DIR', () => {
  it('may export one handler, a list, several by name, or be CommonJS; files that are no modules are left alone', async () => {
    const handler = (name: string): string => `{ name: '${name}', events: ['ONAPPINSTALL', 'ONCRM*'], run() {} }`;
    await bench.writeModule(
      'one.mjs',
      `export default ${handler('one')}; export const other = 5; export function f() {}`,
    );
    await bench.writeModule('list.mjs', `export default [${handler('l1')}, ${handler('l2')}];`);
    await bench.writeModule(
      'named.js',
      `export const a = ${handler('n1')}; export const b = ${handler('n2')}; export default a;`,
    );
    await bench.writeModule('common.js', `module.exports = ${handler('c1')};`);
    await bench.writeModule('compiled.js', `exports.__esModule = true; exports.default = ${handler('c2')};`);
    for (const file of ['_part.mjs', '.hidden.js', 'x.test.js', 'x.d.ts', 'notes.md', 'x.json'])
      await bench.writeModule(file, '}{');
    await mkdir(join(bench.dir, 'folder.js'));
    await bench.start();
    const names = bench.handlers?.effects.map(({ name }) => name);
    expect(names?.toSorted()).toEqual(['c1', 'c2', 'l1', 'l2', 'n1', 'n2', 'one'].map((name) => `handler-${name}`));
    expect(bench.handlers?.events).toEqual(['ONAPPINSTALL']);
  });

  it('stop the start where they are at fault, all told at once, each by file and fault', async () => {
    await bench.writeModule('a-good.mjs', `export default { name: 'good', events: ['*'], run() {} };`);
    await bench.writeModule('b-syntax.mjs', `export default {`);
    await bench.writeModule('c-import.mjs', `import 'no-such-package';`);
    await bench.writeModule('d-throws.mjs', `throw new Error('SHOP_TOKEN is not set');`);
    await bench.writeModule('e-empty.mjs', `export const x = 1;`);
    await bench.writeModule('f-name.mjs', `export default { name: 'My handler', events: ['*'], run() {} };`);
    await bench.writeModule('g-events.mjs', `export default { name: 'g', events: ['onAppInstall'], run() {} };`);
    await bench.writeModule('h-run.mjs', `export default { name: 'h', events: ['*'] };`);
    await bench.writeModule('i-twice.mjs', `export default { name: 'good', events: ['*'], run() {} };`);
    await bench.writeModule('j-shape.mjs', `export default 5;`);
    const message = await faultOfStart();
    for (const part of [
      /b-syntax\.mjs: cannot be loaded: SyntaxError: /,
      /c-import\.mjs: cannot be loaded: Error: Cannot find package 'no-such-package'/,
      /d-throws\.mjs: cannot be loaded: Error: SHOP_TOKEN is not set/,
      /e-empty\.mjs: exports no handler/,
      /f-name\.mjs: name: expected 1 to 40 lower case letters, digits and dashes, a letter first, got "My handler"/,
      /g-events\.mjs: the g handler: events: expected a list of names in capitals.* got \["onAppInstall"\]/,
      /h-run\.mjs: the h handler: run: expected a function, got nothing/,
      /i-twice\.mjs: the name "good" is taken by a handler in a-good\.mjs/,
      /j-shape\.mjs: expected a handler \{ name, events, run \}, got 5/,
    ])
      expect(message).toMatch(part);
    expect(message).not.toContain('a-good.mjs:');
    expect(await bench.hosts()).toEqual([]);
  });

  it('stop the start where one ends the process, or takes too long', async () => {
    await bench.writeModule('exits.mjs', `process.exit(3);`);
    expect(await faultOfStart()).toMatch(/exits\.mjs: it ended with code 3 while it was loaded/);
    await bench.writeModule('exits.mjs', `await new Promise(() => setInterval(() => 0, 1000));`);
    expect(await faultOfStart({ loadTimeoutMs: 1000 })).toMatch(
      /exits\.mjs: cannot be loaded: it takes longer than 1 s/,
    );
  });

  it('name the line and the column of a fault of syntax, also in a part that is imported', async () => {
    await bench.writeModule('own.mjs', 'export default {\n  name: "x",, };\n');
    await bench.writeModule('named.mjs', `\nimport { nothing } from 'node:fs';\n`);
    await bench.writeModule('common.js', 'module.exports = ;\n');
    await bench.writeModule('without-type.js', 'export const a = 5;\nexport default {,};\n');
    const message = await faultOfStart();
    expect(message).toMatch(/own\.mjs: .*Unexpected token ',' \(own\.mjs, line 2, column 13\)/);
    expect(message).toMatch(/named\.mjs: .*named 'nothing' \(named\.mjs, line 2, column 10\)/);
    expect(message).toMatch(/common\.js: .*\(common\.js, line 1, column 18\)/);
    expect(message).toMatch(/without-type\.js: .*\(without-type\.js, line 2, column 17\)/);
    for (const file of ['own.mjs', 'named.mjs', 'common.js', 'without-type.js'])
      await bench.writeModule(file, `import './_part.mjs';`);
    await bench.writeModule('_part.mjs', '\n\n}{');
    expect(await faultOfStart()).toMatch(/own\.mjs: .*Unexpected token '}' \(_part\.mjs, line 3, column 1\)/);
  });

  it('end the worker as a wrong variable does where they are at fault, and not where another start may go well', async () => {
    expect(await errorOfStart()).toMatchObject({ exitCode: EXIT_CONFIG });
    await bench.writeModule('slow.mjs', `await new Promise(() => setInterval(() => 0, 1000));`);
    expect(await errorOfStart({ loadTimeoutMs: 300 })).toMatchObject({ exitCode: 1 });
  });

  it('stop the start where the folder is missing or empty', async () => {
    expect(await faultOfStart()).toMatch(/HANDLERS_DIR: there is no module in /);
    expect(await faultOfStart({ dir: join(bench.dir, 'none') })).toMatch(/HANDLERS_DIR: .*none cannot be read: ENOENT/);
  });

  it('may be TypeScript where Node runs it, else the fault names the Node that does', async () => {
    await bench.writeModule('typed.ts', `export default { name: 'typed', events: ['*'] as string[], run(): void {} };`);
    const message = await faultOfStart();
    expect(message).toMatch(runsTypeScript ? /^none$/ : /typed\.ts: Node .* Node 22\.18 and later do/);
  });

  it('that can no longer be loaded put the runs off, and are loaded when they are mended', async () => {
    await bench.writeHandler('ending', 'process.exit(1);');
    await bench.writeHandler('good', '');
    let nowMs = Date.now();
    await bench.start({ now: () => nowMs, random: () => 0 });
    await bench.failureOf('ending');
    await bench.writeModule('broken.mjs', '}{');
    expect(await bench.failureOf('good')).toMatchObject({
      code: 'HANDLER_UNAVAILABLE',
      message: expect.stringContaining('broken.mjs'),
      retryAfterMs: 1000,
    });
    expect(await bench.failureOf('good')).toMatchObject({ code: 'HANDLER_UNAVAILABLE' });
    expect(bench.logged('handler.not_loaded')).toHaveLength(1);
    await bench.writeModule('broken.mjs', 'export default { name: "mended", events: ["*"], run() {} };');
    nowMs += 1001;
    await bench.run('good');
    await waitUntil('one host is there', async () => (await bench.hosts()).length === 1);
  });
});
