import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** One block of code on a page of the documentation. */
export interface PageBlock {
  readonly language: string;
  /** What stands behind the language; empty for a block without a file's name. */
  readonly file: string;
  readonly code: string;
}

/** The code of a page, so that a test can run what the page shows. */
export class PageBlocks {
  readonly all: readonly PageBlock[];

  constructor(page: string) {
    const blocks = readFileSync(page, 'utf8').matchAll(/^```(\S+) ?(.*)\n([\s\S]*?)^```$/gm);
    this.all = [...blocks].map(([, language = '', file = '', code = '']) => ({ language, file, code }));
  }

  /** All that the page shows of a file, in its order: each one takes the place of the one before. */
  versionsOf(file: string): readonly string[] {
    return this.all.filter((block) => block.file === file).map(({ code }) => code);
  }

  lastOf(file: string): string {
    const code = this.versionsOf(file).at(-1);
    if (code === undefined) throw new Error(`the page shows no ${file}`);
    return code;
  }
}

/** Writes code to where a page says that it belongs, below a folder; gives the folder. */
export async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<string> {
  for (const [file, code] of Object.entries(files)) {
    const path = join(folder, file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, code);
  }
  return folder;
}
