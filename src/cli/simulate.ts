import { Command } from 'commander';
import { errorCode } from '../shared/caught-error.js';
import { StartError } from '../shared/start-error.js';
import { isFaultless } from '../simulator/report.js';
import { startSimulator, type Simulator } from '../simulator/start-simulator.js';
import type { CommandHost } from './command-host.js';
import { reportLines } from './simulate/report-lines.js';
import { serveLines } from './simulate/serve-lines.js';
import { addSimulateOptions, PORTALS, type SimulateOptions } from './simulate/simulate-options.js';
import { findSettings, type SimulatorSettings } from './simulate/simulator-settings.js';
import { runTour, TOUR_PACE, type TourPace } from './simulate/tour.js';
import { whenAborted } from './start/stop-signals.js';

export interface SimulateDeps extends CommandHost {
  readonly pace?: TourPace;
}

export function simulateCommand(deps: SimulateDeps): Command {
  const command = new Command('simulate').description(
    'a Bitrix24 on this machine: sends events, serves OAuth and REST, tells what is missing',
  );
  return addSimulateOptions(command).action(async (options: SimulateOptions) => {
    process.exitCode = await simulate(options, deps);
  });
}

/**
 * Gives the exit code: 0 where nothing is missing or came twice, 1 otherwise.
 *
 * @throws {StartError} where the app or a port is not as it must be, {ConfigError} where a variable is wrong.
 */
export async function simulate(options: SimulateOptions, deps: SimulateDeps): Promise<number> {
  const settings = await findSettings({
    env: deps.env,
    dataDir: options.dataDir,
    url: options.url,
    hostname: options.host,
  });
  const simulator = await start(settings);
  try {
    await addPortals(simulator, settings, options.portals);
    return await (options.install === true ? tour : serve)({ simulator, settings, options, deps });
  } finally {
    await simulator.close();
  }
}

interface Run {
  readonly simulator: Simulator;
  readonly settings: SimulatorSettings;
  readonly options: SimulateOptions;
  readonly deps: SimulateDeps;
}

async function start(settings: SimulatorSettings): Promise<Simulator> {
  const { clientId, clientSecret, port, hostname, url, incomingSecret } = settings;
  const incoming = incomingSecret === undefined ? {} : { incoming: { url: incomingUrl(url), secret: incomingSecret } };
  try {
    return await startSimulator({ clientId, clientSecret, port, hostname, ...incoming });
  } catch (error) {
    throw portError(error, port);
  }
}

async function addPortals(simulator: Simulator, { portalPorts }: SimulatorSettings, wanted?: number): Promise<void> {
  const count = wanted ?? (portalPorts.length || PORTALS);
  if (portalPorts.length > 0 && count > portalPorts.length)
    throw new StartError(`--portals: the app knows the hosts of ${portalPorts.length} portals, got ${count}`);
  for (let index = 0; index < count; index += 1) {
    const port = portalPorts[index] ?? 0;
    await simulator.addPortal({ port }).catch((error: unknown) => {
      throw portError(error, port);
    });
  }
}

async function tour({ simulator, settings, options, deps }: Run): Promise<number> {
  const { events, rate, burst, repeat } = options;
  const many = {
    count: events,
    ...(rate !== undefined && { rate }),
    ...(burst !== undefined && { burst }),
    ...(repeat !== undefined && { repeat }),
    duplicates: options.duplicates,
    sameSecondPairs: options.sameSecond,
    forgeries: options.forgeries,
    withoutTokens: options.tokens ? 0 : 1,
    seed: options.seed,
  };
  const { portals } = simulator;
  const timeoutMs = options.timeoutSeconds * 1000;
  const { customers } = options;
  if (customers > 0 && settings.incomingSecret === undefined)
    throw new StartError('--customers: INCOMING_SECRET is unset, which signs what customers write');
  const { say: sayOn, signal, pace = TOUR_PACE } = deps;
  await runTour({ simulator, portals, url: settings.url, many, customers, timeoutMs, say: sayOn, signal, pace });
  const result = simulator.report();
  const lines = options.json === true ? [JSON.stringify(result)] : reportLines(result);
  for (const line of lines) deps.write(line);
  return isFaultless(result) && !signal.aborted ? 0 : 1;
}

async function serve({ simulator, settings, deps }: Run): Promise<number> {
  for (const line of serveLines(simulator, settings)) deps.write(line);
  await whenAborted(deps.signal);
  return 0;
}

function incomingUrl(eventsUrl: string): string {
  return new URL('/incoming', eventsUrl).href;
}

function portError(error: unknown, port: number): unknown {
  if (errorCode(error) !== 'EADDRINUSE') return error;
  return new StartError(`port ${port} is taken: another simulator may be running`);
}
