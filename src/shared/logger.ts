import { pino, type DestinationStream, type Logger, type LoggerOptions } from 'pino';

export type { Logger };

const FLUSH_MS = 300;

/**
 * One JSON line per record on standard output. Written asynchronously, so that a slow terminal does not slow an answer;
 * `flushLogger` before the process ends. (With `minLength: 0` a flush of sonic-boom waits for nothing.)
 */
export function createLogger(level: string, name: string, stream?: DestinationStream): Logger {
  return pino(optionsOf(level, name), stream ?? pino.destination({ dest: 1, sync: false, minLength: 1 }));
}

/**
 * For the last words of a process. Written at once: pino flushes every fatal record synchronously, which would let it overtake one
 * that is being written asynchronously.
 */
export function createLastLogger(name: string): Logger {
  return pino(optionsOf('info', name), pino.destination({ dest: 1, sync: true }));
}

function optionsOf(level: string, name: string): LoggerOptions {
  return {
    level,
    base: { name },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
}

/** Waits until all is written, yet not for a reader that has stopped reading. */
export function flushLogger(logger: Logger): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, FLUSH_MS).unref();
    logger.flush(() => resolve());
  });
}
