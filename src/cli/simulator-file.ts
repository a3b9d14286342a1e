import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { errorCode } from '../shared/caught-error.js';
import { StartError } from '../shared/start-error.js';

const port = z.int().min(1).max(65_535);
const SCHEMA = z.object({
  url: z.url(),
  clientId: z.string().min(1),
  clientSecret: z.string().min(1),
  port,
  portalPorts: z.array(port),
  incomingSecret: z.string().startsWith('whsec_'),
});

/** What `npm start` tells the simulator of the app that only the two of them know; in a file in DATA_DIR. */
export interface SimulatorFile {
  /** Where the app takes events in. */
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Where the simulator will listen, as the OAuth server and as the messenger. */
  readonly port: number;
  /** Of the portals, in their order. */
  readonly portalPorts: readonly number[];
  readonly incomingSecret: string;
}

export function simulatorFilePath(dataDir: string): string {
  return join(dataDir, 'simulator.json');
}

/**
 * undefined where there is none.
 *
 * @throws {StartError} where it cannot be read, or is not what `npm start` writes.
 */
export async function readSimulatorFile(path: string): Promise<SimulatorFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new StartError(`${path} cannot be read: ${errorCode(error) ?? 'unknown'}`);
  }
  const parsed = SCHEMA.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  // What is wrong is told by its place only: the file holds secrets.
  const place = parsed.error.issues[0]?.path.join('.') || 'its form';
  throw new StartError(`${path} is not what npm start writes: see ${place}`);
}

/** Whole or not at all, and for this user alone; the fields always in the same order. */
export async function writeSimulatorFile(path: string, content: SimulatorFile): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(SCHEMA.parse(content), undefined, 2)}\n`);
  } finally {
    await file.close();
  }
  await rename(draft, path);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
