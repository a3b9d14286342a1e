import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** All files below a folder as one text to search. LevelDB packs its older files, yet what was written a moment ago stands in its log as it is. */
export async function everyFileIn(dir: string): Promise<string> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const texts = await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name), 'latin1')));
  return texts.join('\n');
}
