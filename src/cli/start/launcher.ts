import { resolve } from 'node:path';
import { EXIT_CONFIG, ConfigError, loadConfig, type Config } from '../../shared/config.js';
import { findFreePort } from '../free-port.js';
import { takeInstanceLock } from '../instance-lock.js';
import { errorMessage } from '../../shared/caught-error.js';
import { StartError } from '../../shared/start-error.js';
import { bannerLines } from './banner.js';
import { createDemoApp, demoAppEnvironment } from './demo-app.js';
import { childEnvironment, createDemoPortal, createForwardSecret } from './demo-portal.js';
import { startDemoReceiver } from './demo-receiver.js';
import { keepRedis, type KeptRedis } from './keep-redis.js';
import { requireListenable } from './listen-check.js';
import { isRedisGiven, redisAddressOf, redisInWords, redisVariableOf } from '../../shared/redis-address.js';
import { ManagedChild, type ChildProgram, type ReadyDetails } from './managed-child.js';
import { createLineFormat } from './readable-log.js';
import { stopChildren } from './stop-children.js';
import { whenAborted, type StopSignals } from './stop-signals.js';

export interface LauncherDeps {
  readonly env: NodeJS.ProcessEnv;
  readonly isRoot: boolean;
  /** In the order in which they are to end. The first is the ingress. */
  readonly programs: readonly ChildProgram[];
  readonly signals: StopSignals;
  readonly colorize: boolean;
  readonly write: (line: string) => void;
}

/** What was started so far, each with the way to end it; taken back in reverse. */
type Undo = (() => Promise<void>)[];

interface Launch extends LauncherDeps {
  readonly undo: Undo;
  readonly say: (line: string) => void;
  readonly showLine: (name: string, line: string) => void;
}

/**
 * The whole system on one machine, until a signal; gives the exit code.
 *
 * Configuration → lock → port → Redis → demo receiver → processes → banner, and back in reverse, wherever it ends: each step
 * that succeeded has put its undoing on a list before the next begins.
 */
export async function launch(deps: LauncherDeps): Promise<number> {
  const nameWidth = Math.max(...deps.programs.map(({ name }) => name.length), 'forward'.length);
  const format = createLineFormat({ colorize: deps.colorize, nameWidth });
  const showLine = (name: string, line: string): void => deps.write(format(name, line));
  const say = (line: string): void => showLine('start', line);
  const undo: Undo = [];
  try {
    return await run({ ...deps, undo, say, showLine });
  } catch (error) {
    return deps.signals.stop.aborted ? 0 : report(error, say);
  } finally {
    for (const step of undo.toReversed()) await step().catch((error: unknown) => say(errorMessage(error)));
    say('stopped');
  }
}

async function run(context: Launch): Promise<number> {
  const { undo, signals, say } = context;
  const config = loadConfig(context.env);
  const lock = await takeInstanceLock(config.dataDir);
  undo.push(() => lock.release());
  await requireListenable({
    host: config.apiHost,
    port: config.apiPort,
    patienceMs: lock.killedPid === undefined ? 0 : 10_000,
    signal: signals.stop,
    say,
  });
  const redis = await startRedis(context, config, lock);
  const demoPortal = createDemoPortal(config);
  const forward = await startForward(context, config);
  const apiPort = config.apiPort === 0 ? await findFreePort() : config.apiPort;
  const demoApp = await createDemoApp({ ...config, dataDir: lock.dataDir }, apiPort);
  const app = demoApp && { ...demoAppEnvironment(demoApp, config.handlersDir), API_PORT: String(apiPort) };
  const env = childEnvironment(context.env, { redisUrl: redis?.url, demoPortal, forward, app });
  const running = await startChildren(context, config, env);
  const facts = {
    apiHost: config.apiHost,
    apiPort: running.apiPort ?? config.apiPort,
    eventsPath: config.eventsPath,
    dataDir: lock.dataDir,
    redis: redis ? `${redis.url}  (${redis.source})` : givenRedisInWords(config),
    forward: forward ? 'a demo receiver in this window, because FORWARD_URL is unset' : 'the address of FORWARD_URL',
    handlers: handlersInWords(env['HANDLERS_DIR'] ?? config.handlersDir, running.handlers),
    health: running.opsUrls.join(', '),
  };
  const banner = { ...facts, demoPortal, hasDemoApp: demoApp !== undefined, nowMs: Date.now() };
  for (const line of bannerLines(banner)) context.write(line);
  return Promise.race([whenAborted(running.fatal).then(() => EXIT_CONFIG), whenAborted(signals.stop).then(() => 0)]);
}

async function startRedis(
  { env, isRoot, undo, signals, say }: Launch,
  config: Config,
  lock: { readonly dataDir: string },
): Promise<KeptRedis | undefined> {
  if (isRedisGiven(config)) return undefined;
  const redis = await keepRedis({ lock, env, isRoot, say, signal: signals.stop });
  undo.push(() => {
    say('stopping Redis');
    return redis.stop(signals.hurry.aborted ? { timeoutMs: 5000 } : {});
  });
  return redis;
}

async function startForward(
  { undo, showLine }: Launch,
  config: Config,
): Promise<{ url: string; secret: string } | undefined> {
  if (config.forwardUrl !== undefined) return undefined;
  const secret = config.forwardSecrets[0] ?? createForwardSecret();
  const receiver = await startDemoReceiver({ secret, say: (line) => showLine('forward', line) });
  undo.push(() => receiver.close());
  return { url: receiver.url, secret };
}

const READY_WITHIN_MS = 60_000;
/** On top of the deadline of one effect, as for every process. */
const STOP_GRACE_MS = 5000;

interface RunningChildren {
  readonly apiPort: number | undefined;
  /** Their names. */
  readonly handlers: string | undefined;
  /** Where each of them tells of itself, with its name. */
  readonly opsUrls: readonly string[];
  /** Given when one of them must not run again, because its configuration is at fault. */
  readonly fatal: AbortSignal;
}

async function startChildren(context: Launch, config: Config, env: NodeJS.ProcessEnv): Promise<RunningChildren> {
  const { programs, signals, undo, say, showLine } = context;
  const fatal = new AbortController();
  const onFatal = (): void => fatal.abort();
  const children = programs.map(
    (program) => new ManagedChild({ program, env, say, onFatal, onLine: (line) => showLine(program.name, line) }),
  );
  undo.push(() => {
    say('stopping: what is under way may end first; another Ctrl-C ends it at once');
    const timeoutMs = config.effectTimeoutMs + STOP_GRACE_MS;
    return stopChildren({ children, timeoutMs, hurry: signals.hurry, say });
  });
  const ready = Promise.all(children.map((child) => child.start(READY_WITHIN_MS)));
  const details = await Promise.race([ready, whenAborted(signals.stop)]);
  signals.stop.throwIfAborted();
  const handlers = details?.find((child) => child.handlers !== undefined)?.handlers;
  const opsUrls = programs.map(({ name }, i) => `${name} ${opsInWords(details?.[i])}`);
  return { apiPort: portOf(details?.[0]?.url), handlers, opsUrls, fatal: fatal.signal };
}

function handlersInWords(dir: string | undefined, names = ''): string {
  if (dir === undefined) return 'none, HANDLERS_DIR is unset';
  return names === '' ? resolve(dir) : `${resolve(dir)}  (${names})`;
}

/** The warning of the process may be long gone from the screen, or below LOG_LEVEL. */
function opsInWords({ opsUrl = 'nowhere', opsPortTaken }: Pick<ReadyDetails, 'opsUrl' | 'opsPortTaken'> = {}): string {
  return opsPortTaken === undefined ? opsUrl : `${opsUrl} (another program has port ${opsPortTaken})`;
}

function portOf(url: string | undefined): number | undefined {
  const port = url === undefined ? '' : new URL(url).port;
  return port === '' ? undefined : Number(port);
}

function givenRedisInWords(config: Config): string {
  const address = redisAddressOf(config);
  return `${redisInWords(address)}  (${redisVariableOf(address)})`;
}

function report(error: unknown, say: (line: string) => void): number {
  if (error instanceof ConfigError) {
    for (const problem of error.problems) say(problem);
    return EXIT_CONFIG;
  }
  if (error instanceof StartError) {
    say(error.message);
    return error.exitCode;
  }
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return 1;
}
