import { ConfigError, environment, loadConfig, type Config } from './config.js';
import { createLastLogger, createLogger, flushLogger, type Logger } from './logger.js';
import { StartError } from './start-error.js';
import { resolvesWithin } from './time-limit.js';

/** A process that runs, and the way to end it. */
export interface Running {
  /** Told to a parent that waits for it, such as the address it listens at. */
  readonly details?: Readonly<Record<string, string | number>>;
  stop(): Promise<void>;
}

/** `fail` ends the process with the exit code that belongs to the error, also after the start. */
export type Start = (config: Config, logger: Logger, fail: (error: unknown) => void) => Promise<Running>;

/** sysexits.h: EX_CONFIG. */
export const EXIT_CONFIG = 78;
/** A process must have ended EFFECT_TIMEOUT_MS + 5 s after the first signal; the last half second is for the log. */
const STOP_MARGIN_MS = 4500;

/**
 * Reads the configuration, starts, and ends on SIGTERM, SIGINT, or when the parent that started it is gone: with 0 after a clean
 * stop, and at a second signal at once, with 0 as well (what was accepted is on disk); with 78 where the configuration is wrong, the
 * modules of HANDLERS_DIR included, and with 1 after anything fatal.
 */
export async function runProcess(name: string, start: Start): Promise<void> {
  let logger = createLogger('info', name);
  let stopping = false;
  let stopTimeoutMs = STOP_MARGIN_MS;
  let running: Running | undefined;

  const end = async (exitCode: number): Promise<void> => {
    await flushLogger(logger);
    process.exit(exitCode);
  };
  const endWith = async (fault: unknown): Promise<void> => {
    await flushLogger(logger);
    reportFatal(createLastLogger(name), fault);
    process.exit(exitCodeOf(fault));
  };
  const fail = (fault: unknown): void => void endWith(fault);
  const stop = (reason: string): void => {
    if (stopping) process.exit(0);
    stopping = true;
    logger.info({ event: 'process.stopping', reason }, 'stopping');
    void stopWithin(running, stopTimeoutMs, logger).then(() => end(0), fail);
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
    running = await start(config, logger, fail);
    process.send?.({ type: 'ready', ...running.details });
  } catch (error) {
    fail(error);
  }
}

function exitCodeOf(fault: unknown): number {
  if (fault instanceof ConfigError) return EXIT_CONFIG;
  return fault instanceof StartError ? fault.exitCode : 1;
}

async function stopWithin(running: Running | undefined, timeoutMs: number, logger: Logger): Promise<void> {
  if (await resolvesWithin(Promise.resolve(running?.stop()), timeoutMs)) return;
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
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  logger.fatal({ event: 'process.failed', reason }, 'ending, because of an error that nothing handles');
}
