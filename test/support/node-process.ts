import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface NodeProcessOptions {
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** A process of this Node whose lines of output a test waits for. */
export class NodeProcess {
  /** All lines so far, standard error among them. */
  readonly lines: string[] = [];
  readonly child: ChildProcessWithoutNullStreams;
  private readonly closed: Promise<unknown>;
  private readonly listeners = new Set<() => void>();

  constructor({ args, env = process.env }: NodeProcessOptions) {
    this.child = spawn(process.execPath, args, { env });
    this.closed = once(this.child, 'close');
    for (const stream of [this.child.stdout, this.child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line);
        for (const listener of this.listeners) listener();
      });
    }
    // A test run that ends early must not leave it behind.
    const end = (): void => void this.child.kill('SIGKILL');
    process.once('exit', end);
    void this.closed.then(() => process.off('exit', end));
  }

  /** Code as an ECMAScript module, in the working directory of the tests. */
  static ofCode(code: string): NodeProcess {
    return new NodeProcess({ args: ['--input-type=module', '--eval', code] });
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('the process was not started');
    return this.child.pid;
  }

  output(): string {
    return this.lines.join('\n');
  }

  /** The first line that matches, from the line of that index on. */
  async line(pattern: RegExp, { from = 0 }: { readonly from?: number } = {}): Promise<string> {
    const find = (): string | undefined => this.lines.slice(from).find((line) => pattern.test(line));
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = find();
        if (found === undefined) return;
        this.listeners.delete(look);
        resolve(found);
      };
      this.listeners.add(look);
      look();
      void this.closed.then(() => reject(new Error(`it ended without a line like ${pattern}:\n${this.output()}`)));
    });
  }

  /** Resolves when it has ended and said all it had to say: its exit code, or null after a signal. */
  async exitCode(): Promise<number | null> {
    await this.closed;
    return this.child.exitCode;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.child.kill(signal);
    await this.exitCode();
  }
}
