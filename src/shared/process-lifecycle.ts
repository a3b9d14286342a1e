import { collectDefaultMetrics } from 'prom-client';
import type { AlertReceiver } from './alerts/send-note.js';
import { CONFIG_FIELDS } from './config-fields.js';
import { ConfigError, EXIT_CONFIG, environment, isGiven, loadConfig, type Config } from './config.js';
import { createLastLogger, createLogger, flushLogger, type Logger } from './logger.js';
import { startOpsServer } from './ops/ops-server.js';
import { createOps, type ProcessOps } from './ops/ops.js';
import { tellWedged } from './ops/tell-wedged.js';
import { startWatchdog, type WatchdogKnobs } from './ops/watchdog.js';
import { WedgedError } from './ops/wedged-error.js';
import { StartError } from './start-error.js';
import { resolvesWithin } from './time-limit.js';
import { startTracing } from './tracing/start-tracing.js';
import { withoutTracing, type Tracing } from './tracing/tracing.js';

/** A process that runs, and the way to end it. */
export interface Running {
  /** Told to a parent that waits for it, such as the address it listens at. */
  readonly details?: Readonly<Record<string, string | number>>;
  stop(): Promise<void>;
}

/** What a process is given to start with. */
export interface ProcessContext {
  readonly config: Config;
  readonly logger: Logger;
  readonly ops: ProcessOps;
  readonly tracing: Tracing;
  /** Ends the process with the exit code that belongs to the error, also after the start. */
  readonly fail: (error: unknown) => void;
}

export type Start = (context: ProcessContext) => Promise<Running>;

export interface Program {
  /** As its log has it. */
  readonly name: string;
  readonly start: Start;
  /** Of its ops server; a process for which another one speaks has none. */
  readonly opsPort: 'apiOpsPort' | 'workerOpsPort' | undefined;
  /** For tests. */
  readonly watchdog?: WatchdogKnobs;
}

/** A process must have ended EFFECT_TIMEOUT_MS + 5 s after the first signal; the last half second is for the log. */
const STOP_MARGIN_MS = 4500;

/**
 * Reads the configuration, starts, and ends on SIGTERM, SIGINT, or when the parent that started it is gone: with 0 after a clean
 * stop, and at a second signal at once, with 0 as well (what was accepted is on disk); with 78 where the configuration is wrong, the
 * modules of HANDLERS_DIR included, and with 1 after anything fatal.
 */
export async function runProcess(program: Program): Promise<void> {
  const { name } = program;
  const ops = createOps();
  let receiver: AlertReceiver | undefined;
  let logger = createLogger('info', name);
  let stopping = false;
  let stopTimeoutMs = STOP_MARGIN_MS;
  let running: Running | undefined;
  let tracing = withoutTracing;

  const end = async (exitCode: number): Promise<void> => {
    await flushLogger(logger);
    process.exit(exitCode);
  };
  const endWith = async (fault: unknown): Promise<void> => {
    await flushLogger(logger);
    reportFatal(createLastLogger(name), fault);
    if (fault instanceof WedgedError) await tellWedged({ name, summary: fault.message, receiver });
    process.exit(exitCodeOf(fault));
  };
  const fail = (fault: unknown): void => void endWith(fault);
  const stop = (reason: string): void => {
    if (stopping) process.exit(0);
    stopping = true;
    ops.stopping();
    logger.info({ event: 'process.stopping', reason }, 'stopping');
    void stopWithin(() => stopAll(running, tracing), stopTimeoutMs, logger).then(() => end(0), fail);
  };

  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.once('disconnect', () => stopping || stop('the parent process is gone'));
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);

  try {
    const config = loadConfig(environment());
    logger = createLogger(config.logLevel, name);
    stopTimeoutMs = config.effectTimeoutMs + STOP_MARGIN_MS;
    receiver = receiverIn(config);
    startWatchdog({ name, receiver, logger, ...program.watchdog });
    const opsDetails = await openOps(program, { config, logger, ops });
    tracing = await startTracing({ config, name, logger });
    running = await program.start({ config, logger, ops, tracing, fail });
    process.send?.({ type: 'ready', ...opsDetails, ...running.details });
  } catch (error) {
    fail(error);
  }
}

function receiverIn({ alertUrl: url, alertSecrets: secrets }: Config): AlertReceiver | undefined {
  return url === undefined ? undefined : { url, secrets };
}

/** Before anything is connected to, so that a process that waits for something says so. It ends with the process. */
async function openOps(
  { opsPort }: Program,
  { config, logger, ops }: Pick<ProcessContext, 'config' | 'logger' | 'ops'>,
): Promise<{ readonly opsUrl?: string; readonly opsPortTaken?: number | undefined }> {
  collectDefaultMetrics({ register: ops.registry });
  if (opsPort === undefined) return {};
  const variable = CONFIG_FIELDS[opsPort].name;
  const port = { variable, number: config[opsPort], isChosen: isGiven(environment(), opsPort) };
  const { url, portTaken } = await startOpsServer({ host: config.opsHost, port, view: ops, logger });
  return { opsUrl: url, opsPortTaken: portTaken };
}

function exitCodeOf(fault: unknown): number {
  if (fault instanceof ConfigError) return EXIT_CONFIG;
  return fault instanceof StartError ? fault.exitCode : 1;
}

/** Traces last: what ends is traced as well. */
async function stopAll(running: Running | undefined, tracing: Tracing): Promise<void> {
  await running?.stop();
  await tracing.stop();
}

async function stopWithin(stop: () => Promise<void>, timeoutMs: number, logger: Logger): Promise<void> {
  if (await resolvesWithin(stop(), timeoutMs)) return;
  logger.warn({ event: 'process.stop_timeout' }, 'not everything ended in time; ending all the same');
}

function reportFatal(logger: Logger, error: unknown): void {
  if (error instanceof ConfigError) {
    for (const problem of error.problems) logger.fatal({ event: 'config.invalid' }, problem);
    return;
  }
  if (error instanceof StartError) {
    logger.fatal({ event: 'process.not_started' }, error.message);
    return;
  }
  if (error instanceof WedgedError) {
    logger.fatal({ event: 'process.wedged' }, `${error.message}; ending, so that this process is started anew`);
    return;
  }
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  logger.fatal({ event: 'process.failed', reason }, 'ending, because of an error that nothing handles');
}
