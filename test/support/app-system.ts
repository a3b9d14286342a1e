import { findFreePort } from '../../src/cli/free-port.js';
import type { SimulatedPortal } from '../../src/simulator/simulated-portal.js';
import { startSimulator, type Simulator } from '../../src/simulator/start-simulator.js';
import { System } from './system.js';
import { waitUntil } from './wait-until.js';

export interface AppSystemOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Hosts that a portal will have after a rename, or that only a test knows. */
  readonly portals?: readonly Parameters<Simulator['addPortal']>[0][];
}

/** What the processes are told of an app that is to be installed in the portals of a simulator. */
export function appEnvironment(simulator: Simulator, publicUrl: string): Readonly<Record<string, string>> {
  return {
    PUBLIC_URL: publicUrl,
    B24_CLIENT_ID: simulator.clientId,
    B24_CLIENT_SECRET: simulator.clientSecret,
    B24_OAUTH_HOSTS: simulator.oauthHost,
    B24_PORTAL_HOSTS: simulator.portals.flatMap(({ host, nextHost }) => [host, nextHost]).join(','),
  };
}

/** The whole system with an app of its own, and a Bitrix24 in which it can be installed. */
export class AppSystem {
  private constructor(
    readonly simulator: Simulator,
    readonly system: System,
    readonly portals: readonly SimulatedPortal[],
  ) {}

  static async start(options: AppSystemOptions = {}): Promise<AppSystem> {
    const simulator = await startSimulator();
    const portals: SimulatedPortal[] = [];
    for (const portal of options.portals ?? [{}]) portals.push(await simulator.addPortal(portal));
    const apiPort = await findFreePort();
    const system = await System.start({
      env: {
        API_PORT: String(apiPort),
        APPLICATION_TOKENS: '',
        ...appEnvironment(simulator, `http://127.0.0.1:${apiPort}`),
        ...options.env,
      },
    });
    return new AppSystem(simulator, system, portals);
  }

  get portal(): SimulatedPortal {
    const [first] = this.portals;
    if (!first) throw new Error('this system has no portal');
    return first;
  }

  /** Installed by the event, and set up: the app's events are bound. */
  async install(portal = this.portal): Promise<void> {
    await portal.install({ eventsUrl: this.system.url });
    await this.isSetUp(portal);
  }

  isSetUp(portal = this.portal): Promise<void> {
    return waitUntil('the events of the app are bound', () =>
      portal.state.handlers.some(({ event }) => event === 'ONAPPUNINSTALL'),
    );
  }

  /** Bodies that were forwarded, of events of this name. */
  forwarded(name: string): number {
    return this.system.receiver.received.filter(({ body }) => body.type === name).length;
  }

  forwards(name: string, count: number, timeoutMs = 60_000): Promise<void> {
    return waitUntil(`${count} ${name} are forwarded`, () => this.forwarded(name) >= count, { timeoutMs });
  }

  /** A line of the worker's log that tells of this portal. */
  logs(event: string, portal = this.portal): Promise<void> {
    const isThere = (): boolean =>
      (this.system.worker?.logged(event) ?? []).some((line) => line.memberId === portal.memberId);
    return waitUntil(`the worker says ${event}`, isThere);
  }

  async close(): Promise<void> {
    await this.system.close();
    await this.simulator.close();
  }
}
