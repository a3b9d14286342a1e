import { pino, type DestinationStream, type Logger } from 'pino';

export type { Logger };

const FLUSH_MS = 300;

/**
 * One JSON line per record on standard output. Written asynchronously, so that a slow terminal does not slow an answer;
 * `flushLogger` before the process ends. (With `minLength: 0` a flush of sonic-boom waits for nothing.)
 */
export function createLogger(level: string, name: string, stream?: DestinationStream): Logger {
  const options = {
    level,
    base: { name },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, stream ?? pino.destination({ dest: 1, sync: false, minLength: 1 }));
}

/** Waits until all is written, yet not for a reader that has stopped reading. */
export function flushLogger(logger: Logger): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, FLUSH_MS).unref();
    logger.flush(() => resolve());
  });
}
