import { Command, InvalidArgumentError, Option } from 'commander';
import { errorCode, errorMessage } from '../shared/caught-error.js';
import { ConfigError, environment } from '../shared/config.js';
import { EXIT_CONFIG } from '../shared/process-lifecycle.js';
import { StartError } from '../shared/start-error.js';
import { isFaultless } from '../simulator/report.js';
import { startSimulator, type Simulator } from '../simulator/start-simulator.js';
import { reportLines } from './simulate/report-lines.js';
import { serveLines } from './simulate/serve-lines.js';
import { findSettings, type SimulatorSettings } from './simulate/simulator-settings.js';
import { runTour, TOUR_PACE, type TourPace } from './simulate/tour.js';
import { listenForStop, whenAborted } from './start/stop-signals.js';

export interface SimulateOptions {
  readonly install?: boolean;
  readonly events: number;
  readonly rate?: number;
  readonly burst?: number;
  readonly duplicates: number;
  readonly sameSecond: number;
  readonly forgeries: number;
  readonly tokens: boolean;
  readonly repeat?: boolean;
  readonly customers: number;
  readonly portals?: number;
  readonly url?: string;
  readonly dataDir?: string;
  readonly seed: number;
  readonly json?: boolean;
  readonly timeoutSeconds: number;
}

export interface SimulateDeps {
  readonly env: NodeJS.ProcessEnv;
  /** Ctrl-C. */
  readonly signal: AbortSignal;
  /** Results, and what is said on the way. */
  readonly write: (line: string) => void;
  readonly say: (line: string) => void;
  readonly pace?: TourPace;
}

/** One portal's REST budget would make the tour long, so there are several of them. */
const PORTALS = 10;
const PORTALS_MAX = 100;

export function simulateCommand(): Command {
  return new Command('simulate')
    .description('a Bitrix24 on this machine: sends events, serves OAuth and REST, tells what is missing')
    .option('--install', 'the tour: install the app, send events, wait for the answers, uninstall, report')
    .option('--events <number>', 'how many events the tour sends', wholeNumber, 1000)
    .option('--rate <number>', 'events a second; as fast as they are taken by default', positiveNumber)
    .option('--burst <number>', 'how many of them come at once at that rate', wholeNumber)
    .addOption(shareOption('duplicates', 'share of the events that are sent twice'))
    .addOption(shareOption('same-second', 'share of the events that carry the second of the one before'))
    .addOption(shareOption('forgeries', 'forged events beside the true ones, as a share of them'))
    .option('--no-tokens', 'events behind which no person stands, so that they carry no OAuth tokens')
    .option('--repeat', 'send again what is not accepted, which Bitrix24 does not')
    .option('--customers <number>', 'how many messages customers write to the app meanwhile', wholeNumber, 0)
    .option('--portals <number>', `how many portals; ${PORTALS}, or as many as npm start made ready`, wholeNumber)
    .option('--url <address>', 'where the app takes events in')
    .option('--data-dir <folder>', 'the data folder of npm start; ./data by default')
    .option('--seed <number>', 'the same one makes the same choices', wholeNumber, 1)
    .option('--json', 'the report as JSON')
    .option('--timeout-seconds <number>', 'how long the tour waits for the answers', wholeNumber, 900)
    .action(async (options: SimulateOptions) => {
      const { stop: signal } = listenForStop();
      process.exitCode = await simulate(options, { env: environment(), signal, write, say });
    });
}

function write(line: string): void {
  process.stdout.write(`${line}\n`);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Gives the exit code: 0 where nothing is missing or came twice, 1 otherwise, 78 where the configuration is wrong. */
export async function simulate(options: SimulateOptions, deps: SimulateDeps): Promise<number> {
  let simulator: Simulator | undefined;
  try {
    const settings = await findSettings({ env: deps.env, dataDir: options.dataDir, url: options.url });
    simulator = await start(settings);
    await addPortals(simulator, settings, options.portals);
    return await (options.install === true ? tour : serve)({ simulator, settings, options, deps });
  } catch (error) {
    return tell(error, deps.say);
  } finally {
    await simulator?.close();
  }
}

interface Run {
  readonly simulator: Simulator;
  readonly settings: SimulatorSettings;
  readonly options: SimulateOptions;
  readonly deps: SimulateDeps;
}

async function start({ clientId, clientSecret, port, url, incomingSecret }: SimulatorSettings): Promise<Simulator> {
  const incoming = incomingSecret === undefined ? {} : { incoming: { url: incomingUrl(url), secret: incomingSecret } };
  try {
    return await startSimulator({ clientId, clientSecret, port, ...incoming });
  } catch (error) {
    throw portError(error, port);
  }
}

async function addPortals(simulator: Simulator, { portalPorts }: SimulatorSettings, wanted?: number): Promise<void> {
  const count = Math.min(wanted ?? (portalPorts.length || PORTALS), PORTALS_MAX);
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

function tell(error: unknown, sayLine: (line: string) => void): number {
  const problems = error instanceof ConfigError ? error.problems : [errorMessage(error)];
  for (const problem of problems) sayLine(problem);
  return error instanceof ConfigError ? EXIT_CONFIG : 1;
}

function incomingUrl(eventsUrl: string): string {
  return new URL('/incoming', eventsUrl).href;
}

function portError(error: unknown, port: number): unknown {
  if (errorCode(error) !== 'EADDRINUSE') return error;
  return new StartError(`port ${port} is taken: another simulator may be running`);
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) === 0)
    throw new InvalidArgumentError('Expected a whole number from 1 on.');
  return Number(text);
}

function positiveNumber(text: string): number {
  const number = Number(text);
  if (!(number > 0 && number <= 100_000)) throw new InvalidArgumentError('Expected a number above 0, up to 100000.');
  return number;
}

function shareOption(name: string, description: string): Option {
  const option = new Option(`--${name} [share]`, description).argParser(shareOf).default(0);
  return option.preset(SHARE_WITHOUT_NUMBER);
}

const SHARE_WITHOUT_NUMBER = '0.1';

function shareOf(text: string): number {
  const number = Number(text);
  if (!(number >= 0 && number <= 1)) throw new InvalidArgumentError('Expected a share from 0 to 1, such as 0.1.');
  return number;
}
