import { url as debuggerUrl } from 'node:inspector';
import { Worker } from 'node:worker_threads';
import type { AlertReceiver } from '../alerts/send-note.js';
import { errorMessage } from '../caught-error.js';
import type { Logger } from '../logger.js';

export interface WatchdogKnobs {
  readonly tickMs?: number;
  readonly missedTicksMax?: number;
}

export interface WatchdogDeps extends WatchdogKnobs {
  /** Of the process, as its log has it. */
  readonly name: string;
  readonly receiver: AlertReceiver | undefined;
  readonly logger: Logger;
}

/** What the thread is given. */
export interface WatchdogTask extends Pick<WatchdogDeps, 'name' | 'receiver'> {
  /** Two of Int32: raised at every beat of the event loop; and whether a debugger could hold it, 1 or 0, as of the last beat. */
  readonly beats: SharedArrayBuffer;
  readonly tickMs: number;
  readonly missedTicksMax: number;
}

const TICK_MS = 1000;
const MISSED_TICKS_MAX = 30;
/** Bounds, not a size; without them the heap of a thread may grow as that of the process. */
const THREAD_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2, stackSizeMb: 2 } as const;

/**
 * A thread that ends this process when its event loop has not moved for half a minute: such a process answers nobody, hears no signal,
 * and keeps its jobs. Its supervisor starts it anew.
 *
 * The thread counts its own ticks and not the time. Where the whole process was frozen, the machine asleep, or the clock set, it
 * stood still as well, and the event loop beats before it has counted on.
 */
export function startWatchdog(deps: WatchdogDeps): void {
  const { name, receiver, logger, tickMs = TICK_MS, missedTicksMax = MISSED_TICKS_MAX } = deps;
  const beats = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
  startBeating(new Int32Array(beats), tickMs);
  const task: WatchdogTask = { name, receiver, beats, tickMs, missedTicksMax };
  const thread = new Worker(new URL('./watchdog-thread.js', import.meta.url), {
    workerData: task,
    resourceLimits: THREAD_LIMITS,
    // Source maps are of no use in it, and the environment holds secrets.
    execArgv: [],
    env: {},
  });
  thread.unref();
  thread.on('error', (error) => {
    const reason = errorMessage(error);
    logger.error({ event: 'watchdog.failed', reason }, 'nothing will end this process where it stands still');
  });
  if (process.pid === 1)
    logger.warn(
      { event: 'watchdog.powerless' },
      'process 1 of a container cannot end itself where it stands still: run it under an init, such as `docker run --init`',
    );
}

/** Someone who looks at a breakpoint holds the event loop; SIGUSR1 lets a debugger in at any time. */
function startBeating(beats: Int32Array, tickMs: number): void {
  const beat = (): void => {
    Atomics.store(beats, 1, debuggerUrl() === undefined ? 0 : 1);
    Atomics.add(beats, 0, 1);
  };
  beat();
  setInterval(beat, tickMs).unref();
}
