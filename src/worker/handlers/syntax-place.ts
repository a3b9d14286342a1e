import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** `shop.js, line 3, column 13`, or undefined where nobody says. */
export async function syntaxPlace(path: string, error: SyntaxError): Promise<string | undefined> {
  const told = placeIn(error.stack ?? '');
  if (told !== undefined) return told;
  // V8 does not say of a module that is imported where its fault is; `node --check` does. The fault may be in a part that it imports.
  for (const file of [path, ...(await partsBeside(path))]) {
    const said = (await Promise.all([checked(file), checkedAsModule(file)])).find((text) =>
      text.includes(`SyntaxError: ${error.message}\n`),
    );
    const place = placeIn(said ?? '', basename(file));
    if (place !== undefined) return place;
  }
  return undefined;
}

const CHECK_TIMEOUT_MS = 5000;
const PART = /^_.*\.[cm]?js$/;

async function partsBeside(path: string): Promise<readonly string[]> {
  const folder = dirname(path);
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => PART.test(name)).map((name) => join(folder, name));
}

/** What Node says of the file without running it; empty where nothing is wrong with it. */
function checked(path: string): Promise<string> {
  return check([path], '');
}

/** Where no package.json says that `.js` files are modules, `--check` overlooks their faults unless it is told so. */
async function checkedAsModule(path: string): Promise<string> {
  return check(['--input-type=module'], await readFile(path, 'utf8').catch(() => ''));
}

function check(args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve) => {
    const options = { timeout: CHECK_TIMEOUT_MS };
    const child = execFile(process.execPath, ['--check', ...args], options, (_error, _stdout, stderr) => {
      resolve(stderr);
    });
    // It may end before it has read all.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/** Node writes the place, the line of code, and below it a mark at the column. */
function placeIn(text: string, file?: string): string | undefined {
  const [first = '', , mark = ''] = text.split('\n', 3);
  const [, path, line] = /^(?:file:\/\/)?(\/.*|[A-Za-z]:.*|\[stdin\]):(\d+)$/.exec(first) ?? [];
  if (path === undefined) return undefined;
  const column = mark.indexOf('^') + 1;
  return `${file ?? basename(path)}, line ${line}${column > 0 ? `, column ${column}` : ''}`;
}
