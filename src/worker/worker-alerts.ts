import type { AlertRule } from '../shared/alerts/alert-rule.js';
import type { JobErrorCode } from '../shared/errors.js';

export interface WorkerAlertsDeps {
  /** How many attempts and deliveries have failed in this process so far, by code. */
  readonly failures: () => ReadonlyMap<string, number>;
  readonly nowMs: () => number;
}

/** Those of each code within one minute. */
interface Minute {
  readonly beganAtMs: number;
  readonly failures: Map<string, number>;
}

const MINUTE_MS = 60_000;
const LATELY_MS = 5 * MINUTE_MS;
const BEFORE_MS = 60 * MINUTE_MS;
export const FAILURE_BOUNDS = { count: 10, timesAsMany: 3 } as const;
/** No failure, but a handler's own wish. */
const WISH: JobErrorCode = 'HANDLER_LATER';

/** What only a worker can see. */
export function createWorkerAlerts(deps: WorkerAlertsDeps): AlertRule[] {
  return [createFailuresRising(deps)];
}

/** At least ten of one code in the last five minutes, and more than three times as many as in five minutes of the hour before. */
function createFailuresRising({ failures, nowMs }: WorkerAlertsDeps): AlertRule {
  let counted = new Map(failures());
  let minutes: Minute[] = [];
  const follow = (now: number): void => {
    const current = failures();
    minutes = minutes.filter(({ beganAtMs }) => now - beganAtMs < LATELY_MS + BEFORE_MS);
    if (now - (minutes.at(-1)?.beganAtMs ?? -Infinity) >= MINUTE_MS)
      minutes.push({ beganAtMs: now, failures: new Map() });
    for (const [code, count] of current) add(minutes.at(-1), code, count - (counted.get(code) ?? 0));
    counted = new Map(current);
  };
  return {
    name: 'failures-rising',
    scope: 'system',
    forMs: 0,
    check() {
      const now = nowMs();
      follow(now);
      const rising = [...counted.keys()].flatMap((code) => {
        const { lately, before } = sumsOf(code, minutes, now);
        return code !== WISH && isRising(lately, before) ? [`${lately} failures with ${code} in five minutes`] : [];
      });
      return rising.length === 0 ? undefined : rising.join('; ');
    },
  };
}

function add(minute: Minute | undefined, code: string, count: number): void {
  if (count > 0) minute?.failures.set(code, (minute.failures.get(code) ?? 0) + count);
}

function sumsOf(code: string, minutes: readonly Minute[], now: number): { lately: number; before: number } {
  let lately = 0;
  let before = 0;
  for (const { beganAtMs, failures } of minutes) {
    const count = failures.get(code) ?? 0;
    if (now - beganAtMs < LATELY_MS) lately += count;
    else before += count;
  }
  return { lately, before };
}

function isRising(lately: number, before: number): boolean {
  return lately >= FAILURE_BOUNDS.count && lately > FAILURE_BOUNDS.timesAsMany * before * (LATELY_MS / BEFORE_MS);
}
