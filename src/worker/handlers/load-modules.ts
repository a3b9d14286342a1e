import { isMap } from '../../shared/is-map.js';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { errorCode, errorMessage } from '../../shared/caught-error.js';
import { listHandlerFiles } from '../../shared/handler-files.js';
import type { Handler } from './define-handler.js';
import { EVENTS_WANTED, isEventPattern } from './event-patterns.js';
import { syntaxPlace } from './syntax-place.js';

/** All handlers of a folder, or all that is wrong with it: whoever mends it wants to see everything at once. */
export type Loaded =
  | { readonly ok: true; readonly handlers: ReadonlyMap<string, Handler> }
  | { readonly ok: false; readonly faults: readonly string[] };

export interface LoadDeps {
  readonly dir: string;
  /** Whether this Node runs TypeScript as it is. */
  readonly runsTypeScript: boolean;
  /** Told before each module, because one may hang, or end the process. */
  readonly onFile: (file: string) => void;
}

const NAME = /^[a-z][a-z0-9-]{0,39}$/;
const TYPESCRIPT = /\.m?ts$/;

export async function loadModules(deps: LoadDeps): Promise<Loaded> {
  const dir = resolve(deps.dir);
  const files = await listModules(dir);
  if (typeof files === 'string') return { ok: false, faults: [`HANDLERS_DIR: ${files}`] };

  const handlers = new Map<string, Handler>();
  const fileOf = new Map<string, string>();
  const faults: string[] = [];
  for (const file of files) {
    deps.onFile(file);
    const { found, faults: own } = await loadModule(join(dir, file), deps.runsTypeScript);
    faults.push(...own.map((fault) => `${file}: ${fault}`));
    for (const handler of found) {
      const other = fileOf.get(handler.name);
      if (other !== undefined) faults.push(`${file}: the name "${handler.name}" is taken by a handler in ${other}`);
      fileOf.set(handler.name, file);
      handlers.set(handler.name, handler);
    }
  }
  return faults.length > 0 ? { ok: false, faults } : { ok: true, handlers };
}

/** The names of the files, or what is wrong with the folder. */
async function listModules(dir: string): Promise<readonly string[] | string> {
  try {
    const files = await listHandlerFiles(dir);
    return files.length > 0 ? files : `there is no module in ${dir}`;
  } catch (error) {
    return `${dir} cannot be read: ${errorCode(error) ?? errorMessage(error)}`;
  }
}

interface Found {
  readonly found: readonly Handler[];
  readonly faults: readonly string[];
}

async function loadModule(path: string, runsTypeScript: boolean): Promise<Found> {
  if (TYPESCRIPT.test(path) && !runsTypeScript) return foundFault(TYPESCRIPT_REFUSED);
  try {
    return handlersIn((await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>);
  } catch (error) {
    return foundFault(`cannot be loaded: ${await describe(error, path)}`);
  }
}

const TYPESCRIPT_REFUSED = `Node ${process.versions.node} does not run TypeScript, Node 22.18 and later do: compile it, or take a newer Node`;

async function describe(error: unknown, path: string): Promise<string> {
  const name = typeof error === 'object' && error !== null && 'name' in error ? `${String(error.name)}: ` : '';
  const [sentence = ''] = errorMessage(error).split('\n', 1);
  const place = error instanceof SyntaxError ? await syntaxPlace(path, error) : undefined;
  return `${name}${sentence}`.slice(0, 1000) + (place === undefined ? '' : ` (${place})`);
}

function foundFault(text: string): Found {
  return { found: [], faults: [text] };
}

/** The default export must be a handler or a list of them; of the others those that look like one. */
function handlersIn(exported: Readonly<Record<string, unknown>>): Found {
  const { default: main, ...named } = unwrapped(exported);
  const mains = main === undefined ? [] : [main].flat();
  const candidates = new Set([...mains, ...Object.values(named).filter(looksLikeHandler)]);
  if (candidates.size === 0)
    return foundFault('exports no handler: make one with defineHandler, and export it as default');
  const found: Handler[] = [];
  const faults: string[] = [];
  for (const candidate of candidates) {
    const own = faultsOf(candidate);
    faults.push(...own);
    if (own.length === 0) found.push(candidate as Handler);
  }
  return { found, faults };
}

/** CommonJS as compilers write it has its exports below `default`. */
function unwrapped(exported: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { default: main } = exported;
  const isCompiled = isMap(main) && main['__esModule'] === true;
  return isCompiled ? main : exported;
}

function looksLikeHandler(value: unknown): boolean {
  return isMap(value) && 'events' in value && ('run' in value || 'name' in value);
}

function faultsOf(value: unknown): readonly string[] {
  if (!isMap(value)) return [`expected a handler { name, events, run }, got ${shown(value)}`];
  const { name, events, run } = value;
  const about = typeof name === 'string' && NAME.test(name) ? `the ${name} handler: ` : '';
  return [
    ...(typeof name === 'string' && NAME.test(name) ? [] : [`name: expected ${NAME_WANTED}, got ${shown(name)}`]),
    ...(areEvents(events) ? [] : [`${about}events: expected ${EVENTS_WANTED}, got ${shown(events)}`]),
    ...(typeof run === 'function' ? [] : [`${about}run: expected a function, got ${shown(run)}`]),
  ];
}

const NAME_WANTED = '1 to 40 lower case letters, digits and dashes, a letter first';

function areEvents(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isEventPattern);
}

function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (value === undefined) return 'nothing';
  return (JSON.stringify(value) ?? typeof value).slice(0, 100);
}
