import { NodeProcess } from './node-process.js';

/** A process of its own that works on the journals of a folder, for tests in which it is killed, or is one of several. */
export class JournalProcess {
  readonly #process: NodeProcess;

  private constructor(process: NodeProcess) {
    this.#process = process;
  }

  static async start(dataDir: string): Promise<JournalProcess> {
    const process = NodeProcess.ofCode(codeOf(dataDir));
    await process.line(/^ready/);
    return new JournalProcess(process);
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Writes that many records in this order, and answers how many were acknowledged. */
  async append(prefix: string, count: number): Promise<number> {
    return Number(await this.#ask(`append ${prefix} ${count}`));
  }

  /** Writes one record. */
  async appendText(text: string): Promise<void> {
    await this.#ask(`appendText ${encodeURIComponent(text)}`);
  }

  /** Looks a few times for what is free, and answers all records it can read, its own last. */
  async adoptAndRead(): Promise<readonly string[]> {
    return JSON.parse(await this.#ask('read')) as string[];
  }

  /** The names of the folders that it holds. */
  async folders(): Promise<readonly string[]> {
    return JSON.parse(await this.#ask('folders')) as string[];
  }

  /** Removes every journal that it adopted. */
  async removeAdopted(): Promise<void> {
    await this.#ask('remove');
  }

  /** Deletes a record and answers whether that failed. */
  async failsToPurge(sequence: number): Promise<boolean> {
    return (await this.#ask(`purge ${sequence}`)) === 'failed';
  }

  async kill(): Promise<void> {
    await this.#process.kill('SIGKILL');
  }

  async #ask(question: string): Promise<string> {
    const from = this.#process.lines.length;
    this.#process.child.stdin.write(`${question}\n`);
    return (await this.#process.line(/^answer /, { from })).slice('answer '.length);
  }
}

function codeOf(dataDir: string): string {
  return `
import { createInterface } from 'node:readline';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Journals } from './dist/api/journals.js';
const logger = pino({ level: 'silent' });
const journals = await Journals.open({
  dataDir: ${JSON.stringify(dataDir)}, diskFreeBytesMin: 0, journalBytesMax: 1e12, logger, adoptEveryMs: 50, emptyAgeMs: 0,
});
async function readAll(source) {
  const texts = [];
  for (let after = 0; ; ) {
    const records = await source.read(after);
    if (records.length === 0) return texts;
    texts.push(...records.map((record) => record.text));
    after = records.at(-1).sequence;
  }
}
const answers = {
  async append(prefix, count) {
    const texts = Array.from({ length: Number(count) }, (_, index) => prefix + index);
    const results = await Promise.allSettled(texts.map((text) => journals.append(text)));
    return results.filter((result) => result.status === 'fulfilled').length;
  },
  async appendText(text) {
    await journals.append(decodeURIComponent(text));
    return 'done';
  },
  async read() {
    await sleep(300);
    const all = [];
    for (const source of journals.sources) all.push(...(await readAll(source)));
    return JSON.stringify(all);
  },
  async folders() {
    return JSON.stringify(journals.sources.map((source) => basename(source.id)));
  },
  async remove() {
    for (const source of journals.sources.slice(0, -1)) await journals.remove(source);
    return 'done';
  },
  async purge(sequence) {
    return journals.sources.at(-1).purge(Number(sequence), Number(sequence)).then(() => 'done', () => 'failed');
  },
};
createInterface({ input: process.stdin }).on('line', async (line) => {
  const [name, ...args] = line.split(' ');
  console.log('answer ' + (await answers[name](...args)));
});
console.log('ready');
`;
}
