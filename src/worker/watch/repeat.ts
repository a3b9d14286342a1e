/** Does something at once and then every so often; never twice at a time, and without keeping the process alive. */
export interface Repeated {
  /** Nothing begins from now on; resolves when what is under way has ended. */
  stop(): Promise<void>;
}

/** `work` tells of its own failures, and must end within bounds. */
export function repeat(everyMs: number, work: () => Promise<void>): Repeated {
  let underWay: Promise<void> | undefined;
  const run = (): void => {
    underWay ??= work().finally(() => {
      underWay = undefined;
    });
  };
  const timer = setInterval(run, everyMs);
  timer.unref();
  run();
  return {
    stop: async () => {
      clearInterval(timer);
      await underWay;
    },
  };
}
