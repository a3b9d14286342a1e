import { hostname } from 'node:os';
import { errorMessage } from '../caught-error.js';
import type { Logger } from '../logger.js';
import { withTimeLimit } from '../time-limit.js';
import { AlertCourse, type AlertChange } from './alert-course.js';
import { ALERTS, type AlertRule } from './alert-rule.js';
import { NoteOutbox } from './note-outbox.js';
import { createNote, instanceName, sendNote, type AlertNote, type AlertReceiver } from './send-note.js';
import { TOLD_AGAIN_MS, type ToldAlerts } from './told-alerts.js';

export interface AlerterDeps {
  readonly rules: readonly AlertRule[];
  /** As it stands in its log: `ingress`, `worker`. */
  readonly processName: string;
  readonly logger: Logger;
  /** Without one the log alone tells. */
  readonly receiver: AlertReceiver | undefined;
  readonly told: ToldAlerts;
  /** For tests. */
  readonly lookEveryMs?: number;
  readonly retryFirstMs?: number;
  readonly nowMs?: () => number;
}

/** An alert as this process sees it, and what it did about it. */
interface Watched {
  readonly rule: AlertRule;
  /** Among the processes that see it. */
  readonly place: string;
  readonly course: AlertCourse;
  summary: string;
  /** When this process told of it last, this time. */
  toldAtMs: number | undefined;
  /** It told so unasked, because Redis did not answer; so the others do not know that its end is to be told. */
  isToldAlone: boolean;
  /** Of a quiet one: when it was last asked whether it is over for the others too. */
  askedAtMs: number;
  isCheckFailing: boolean;
}

const LOOK_EVERY_MS = 5000;
const CHECK_TIMEOUT_MS = 3000;
/** A process that told of an alert and ended leaves it to the others to tell that it is over. */
const ASKED_EVERY_MS = 60_000;

/**
 * Looks at its rules every five seconds. Each change is logged; where ALERT_URL is set, one of the processes that see it sends a note
 * of it too. Which one is agreed upon in Redis; while Redis does not answer each process sends its own, for twice is better than never.
 */
export class Alerter {
  readonly #deps: AlerterDeps;
  readonly #watched: readonly Watched[];
  readonly #outbox: NoteOutbox | undefined;
  readonly #nowMs: () => number;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  private constructor(deps: AlerterDeps) {
    const { receiver, logger, retryFirstMs } = deps;
    this.#deps = deps;
    this.#nowMs = deps.nowMs ?? ((): number => performance.now());
    this.#watched = deps.rules.map((rule) => watch(rule, this.#nowMs()));
    const knobs = retryFirstMs === undefined ? {} : { retryFirstMs };
    this.#outbox = receiver && new NoteOutbox({ send: (note) => sendNote(receiver, note), logger, ...knobs });
  }

  static start(deps: AlerterDeps): Alerter {
    const alerter = new Alerter(deps);
    alerter.#waitForTheNext();
    return alerter;
  }

  /** Notes that have not arrived are given up. What still holds is told by another process, or by the next one that starts. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#outbox?.stop();
  }

  #waitForTheNext(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      void Promise.all(this.#watched.map((watched) => this.#look(watched))).then(() => this.#waitForTheNext());
    }, this.#deps.lookEveryMs ?? LOOK_EVERY_MS);
    this.#timer.unref();
  }

  async #look(watched: Watched): Promise<void> {
    const check = await this.#check(watched);
    if (!check || this.#isStopped) return;
    if (check.summary !== undefined) watched.summary = check.summary;
    const change = watched.course.see(check.summary !== undefined, this.#nowMs());
    this.#log(change, watched);
    if (watched.course.isFiring) {
      if (check.summary !== undefined) await this.#tellFiring(watched);
      return;
    }
    if (check.summary === undefined) await this.#tellResolved(watched, change === 'resolves');
  }

  /** Undefined where nothing can be said: what cannot be looked at neither fires nor resolves. */
  async #check(watched: Watched): Promise<{ readonly summary: string | undefined } | undefined> {
    const { rule } = watched;
    try {
      const summary = await withTimeLimit(checkNow(rule), CHECK_TIMEOUT_MS, 'the look');
      watched.isCheckFailing = false;
      return { summary };
    } catch (error) {
      if (!watched.isCheckFailing)
        this.#deps.logger.debug({ event: 'alert.not_checked', alert: rule.name, reason: errorMessage(error) });
      watched.isCheckFailing = true;
      return undefined;
    }
  }

  #log(change: AlertChange | undefined, { rule, summary }: Watched): void {
    const { logger } = this.#deps;
    if (change === 'fires')
      logger.error({ event: 'alert.firing', alert: rule.name, reason: summary }, ALERTS[rule.name]);
    if (change === 'resolves') logger.info({ event: 'alert.resolved', alert: rule.name }, `over: ${ALERTS[rule.name]}`);
  }

  async #tellFiring(watched: Watched): Promise<void> {
    const outbox = this.#outbox;
    if (!outbox) return;
    const sinceMs = this.#sinceMs(watched);
    const isTold = watched.toldAtMs !== undefined && !outbox.has(watched.rule.name);
    const isOurs = await this.#deps.told.holds(watched.place, { isTold, sinceMs }).catch(() => undefined);
    const isToldLately = watched.toldAtMs !== undefined && this.#nowMs() - watched.toldAtMs < TOLD_AGAIN_MS;
    if (isOurs !== undefined) watched.isToldAlone = false;
    if (isOurs === false || isToldLately || this.#isStopped) return;
    watched.toldAtMs = this.#nowMs();
    watched.isToldAlone = isOurs === undefined;
    outbox.put(this.#note('alert.firing', watched, sinceMs));
  }

  async #tellResolved(watched: Watched, isNews: boolean): Promise<void> {
    const outbox = this.#outbox;
    const nowMs = this.#nowMs();
    if (!outbox || (!isNews && nowMs - watched.askedAtMs < ASKED_EVERY_MS)) return;
    watched.askedAtMs = nowMs;
    const wasToldByUs = isNews && watched.toldAtMs !== undefined;
    const wasToldAlone = wasToldByUs && watched.isToldAlone;
    watched.toldAtMs = undefined;
    // One that never arrived: whoever still sees it tells of it anew.
    if (wasToldByUs) outbox.drop(watched.rule.name);
    const unasked = wasToldByUs ? this.#sinceMs(watched) : undefined;
    const asked = await this.#deps.told.isOver(watched.place).catch(() => unasked);
    const sinceMs = asked ?? (wasToldAlone ? unasked : undefined);
    if (sinceMs !== undefined && !this.#isStopped) outbox.put(this.#note('alert.resolved', watched, sinceMs));
  }

  #sinceMs({ course }: Watched): number {
    return Math.round(Date.now() - (this.#nowMs() - course.sinceMs));
  }

  #note(type: AlertNote['type'], { rule, summary }: Watched, sinceMs: number): AlertNote {
    const { name } = rule;
    const text = type === 'alert.firing' ? summary : `over: ${ALERTS[name]}`;
    return createNote(type, { alert: name, summary: text, sinceMs, instance: instanceName(this.#deps.processName) });
  }
}

function watch(rule: AlertRule, nowMs: number): Watched {
  return {
    rule,
    place: rule.scope === 'machine' ? `${rule.name}:${hostname()}` : rule.name,
    course: new AlertCourse(rule.forMs),
    summary: '',
    toldAtMs: undefined,
    isToldAlone: false,
    askedAtMs: nowMs,
    isCheckFailing: false,
  };
}

/** So that one that throws at once is a rejection too. */
async function checkNow(rule: AlertRule): Promise<string | undefined> {
  return rule.check();
}
