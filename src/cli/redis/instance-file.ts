import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/**
 * What runs, or ran last, on a directory of Redis files. It stays after a clean stop, since it also says where the data
 * are: the files of a process lie in the directory, those of a container in a Docker volume.
 */
const instanceSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('process'), port: z.int(), pid: z.int().nullable(), binary: z.string() }),
  z.object({ kind: z.literal('docker'), port: z.int(), container: z.string() }),
]);

export type Instance = z.infer<typeof instanceSchema>;

const FILE_NAME = 'instance.json';

/** undefined when there is none, or none that can be read: what runs is then found by Redis's own files. */
export async function readInstance(dir: string): Promise<Instance | undefined> {
  try {
    return instanceSchema.safeParse(JSON.parse(await readFile(join(dir, FILE_NAME), 'utf8'))).data;
  } catch {
    return undefined;
  }
}

/** Whole or not at all: a kill in the middle leaves the former one. */
export async function writeInstance(dir: string, instance: Instance): Promise<void> {
  const file = join(dir, FILE_NAME);
  await writeFile(`${file}.new`, `${JSON.stringify(instance)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
