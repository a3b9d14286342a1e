import { randomBytes } from 'node:crypto';
import { findFreePort } from '../../src/cli/free-port.js';
import { docker, type CommandOptions } from './docker-command.js';

export interface Container {
  readonly id: string;
  readonly service: string;
  readonly name: string;
}

/** What `docker inspect` tells of a container; only what is looked at here. */
export interface Inspected {
  readonly Name: string;
  readonly State: { readonly Health?: { readonly Status: string } };
  readonly HostConfig: {
    readonly ReadonlyRootfs: boolean;
    readonly CapAdd: readonly string[] | null;
    readonly CapDrop: readonly string[] | null;
    readonly SecurityOpt: readonly string[] | null;
    readonly Memory: number;
    readonly PidsLimit: number | null;
    readonly Privileged: boolean;
  };
  readonly NetworkSettings: {
    readonly Ports: Readonly<Record<string, readonly { readonly HostPort: string }[] | null>>;
  };
}

export interface ProjectOptions {
  /** In the place of what stands in `.env`, which is not read. */
  readonly env?: Readonly<Record<string, string>>;
  /** Beside docker-compose.yml. */
  readonly files?: readonly string[];
}

/** The compose file as a project of its own on free ports, removed with its volumes at the end. */
export class ComposeProject {
  readonly #args: readonly string[];
  readonly #env: Readonly<Record<string, string>>;

  private constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#args = args;
    this.#env = env;
  }

  static async create({ env = {}, files = [] }: ProjectOptions = {}): Promise<ComposeProject> {
    const name = `b24-test-${randomBytes(4).toString('hex')}`;
    const given = ['docker-compose.yml', ...files].flatMap((file) => ['--file', file]);
    const args = ['compose', '--project-name', name, '--env-file', '/dev/null', ...given];
    const port = String(await findFreePort());
    // The disk of a machine that runs tests may be nearly full, which is no concern of these.
    return new ComposeProject(args, { API_HOST: '127.0.0.1', API_PORT: port, DISK_FREE_BYTES_MIN: '0', ...env });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#env.API_PORT}/events`;
  }

  compose(args: readonly string[], { env = {}, ...options }: CommandOptions = {}): Promise<string> {
    return docker([...this.#args, ...args], { ...options, env: { ...this.#env, ...env } });
  }

  /** Resolves when every service is healthy; what the containers said is told where one is not. */
  async up(...args: readonly string[]): Promise<void> {
    await this.compose(['up', '--detach', '--wait', '--wait-timeout', '60', ...args]).catch(async (error: unknown) => {
      throw new Error(await this.compose(['logs', '--no-color', '--tail', '20']), { cause: error });
    });
  }

  async containers(...services: readonly string[]): Promise<readonly Container[]> {
    const lines = await this.compose(['ps', '--format', '{{.ID}} {{.Service}} {{.Name}}', ...services]);
    return lines
      .split('\n')
      .filter(Boolean)
      .map((line) => {
        const [id = '', service = '', name = ''] = line.split(' ');
        return { id, service, name };
      });
  }

  async inspect(...services: readonly string[]): Promise<readonly Inspected[]> {
    const containers = await this.containers(...services);
    return JSON.parse(await docker(['inspect', ...containers.map(({ id }) => id)])) as Inspected[];
  }

  /** How often each container of a service has logged an event. */
  async logged(service: string, event: string): Promise<readonly number[]> {
    const containers = await this.containers(service);
    const logs = await Promise.all(containers.map(({ id }) => docker(['logs', id])));
    return logs.map((text) => text.split(`"event":"${event}"`).length - 1);
  }

  async remove(): Promise<void> {
    await this.compose(['--profile', '*', 'down', '--volumes', '--timeout', '5', '--remove-orphans']);
  }
}
