import { write } from 'node:fs';
import { workerData } from 'node:worker_threads';
import type { WatchdogTask } from './watchdog.js';

// The thread of the watchdog. It loads next to nothing before it must, because every process has one.

/** A reader of the log who has stopped reading must not keep the process. */
const WRITE_MS = 500;

const { name, receiver, beats, tickMs, missedTicksMax } = workerData as WatchdogTask;
const beat = new Int32Array(beats);
let seen = Atomics.load(beat, 0);
let missed = 0;

const timer = setInterval(() => {
  const now = Atomics.load(beat, 0);
  const isInspected = Atomics.load(beat, 1) === 1;
  missed = now === seen && !isInspected ? missed + 1 : 0;
  seen = now;
  if (missed < missedTicksMax) return;
  clearInterval(timer);
  void endProcess();
}, tickMs);

/** By SIGKILL: any other signal is for the event loop to hear. */
async function endProcess(): Promise<void> {
  const summary = `the event loop has not moved for ${Math.round((missedTicksMax * tickMs) / 1000)} s`;
  try {
    await log(`${summary}; ending, so that this process is started anew`);
    if (receiver) await (await import('./tell-wedged.js')).tellWedged({ name, summary, receiver });
  } finally {
    process.kill(process.pid, 'SIGKILL');
  }
}

/** As the logger would: that one belongs to the event loop. */
function log(msg: string): Promise<void> {
  const time = new Date().toISOString();
  const line = JSON.stringify({ level: 'fatal', time, name, event: 'process.wedged', msg });
  return new Promise((resolve) => {
    setTimeout(resolve, WRITE_MS);
    write(1, `${line}\n`, () => resolve());
  });
}
