/** The user's wish to stop, and his impatience. */
export interface StopSignals {
  readonly stop: AbortSignal;
  /** A second signal: end at once. */
  readonly hurry: AbortSignal;
}

/**
 * One Ctrl-C can arrive here twice: the terminal sends it to the whole foreground group, and npm, which is in it, passes its
 * own on to us. What follows the first within this time is taken for its echo.
 */
const ECHO_MS = 1000;

/** SIGHUP too: a terminal window that is closed must not leave a Redis behind. */
export function listenForStop(): StopSignals {
  const stop = new AbortController();
  const hurry = new AbortController();
  let firstAtMs = 0;
  const hear = (): void => {
    if (!stop.signal.aborted) {
      firstAtMs = Date.now();
      stop.abort();
    } else if (Date.now() - firstAtMs > ECHO_MS) hurry.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, hear);
  return { stop: stop.signal, hurry: hurry.signal };
}

/** Resolves when the signal is given, or was. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
