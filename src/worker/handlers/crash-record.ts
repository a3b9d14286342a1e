import type { Logger } from '../../shared/logger.js';

/**
 * Which handlers end their processes. One that did so with {@link EVENTS_MAX} different events within a while is *set aside*: its
 * runs wait. After the same while one run is let through as a *test*, which brings it back or sets it aside again.
 */
export interface CrashRecord {
  /** Whoever gets `test` must tell by `noteTestEnd` how it went. */
  admit(handler: string): Admission;
  noteCrash(crash: Crash): void;
  /** `unknown`: it was not the test's own doing that it came to no end. */
  noteTestEnd(handler: string, how: 'well' | 'crashed' | 'unknown'): void;
}

export interface Crash {
  readonly handler: string;
  readonly eventId: string;
  readonly how: string;
  /** The process that ended: several runs of one handler may have hung in it, and are one crash. */
  readonly host: object;
}

export type Admission =
  { readonly kind: 'run' } | { readonly kind: 'test' } | { readonly kind: 'aside'; readonly reason: string };

export interface CrashRecordDeps {
  readonly windowMs: number;
  readonly now: () => number;
  readonly logger: Logger;
}

interface State {
  /** The last one of each event. */
  crashes: readonly (Crash & { readonly atMs: number })[];
  reason: string;
  asideUntilMs: number | undefined;
  isTesting: boolean;
}

const EVENTS_MAX = 3;

export function createCrashRecord(deps: CrashRecordDeps): CrashRecord {
  const states = new Map<string, State>();
  const stateOf = (handler: string): State => {
    const state = states.get(handler) ?? { crashes: [], reason: '', asideUntilMs: undefined, isTesting: false };
    states.set(handler, state);
    return state;
  };

  return {
    admit(handler) {
      const state = stateOf(handler);
      if (state.asideUntilMs === undefined) return { kind: 'run' };
      if (state.isTesting || deps.now() < state.asideUntilMs) return { kind: 'aside', reason: state.reason };
      state.isTesting = true;
      return { kind: 'test' };
    },
    noteCrash(crash) {
      const state = stateOf(crash.handler);
      const atMs = deps.now();
      const recent = state.crashes.filter((other) => other.atMs > atMs - deps.windowMs);
      if (recent.some(({ host }) => host === crash.host)) return;
      state.crashes = [...recent.filter(({ eventId }) => eventId !== crash.eventId), { ...crash, atMs }];
      state.reason = crash.how;
      if (state.crashes.length >= EVENTS_MAX) setAside(crash.handler, state);
    },
    noteTestEnd(handler, how) {
      const state = stateOf(handler);
      state.isTesting = false;
      if (how === 'crashed') setAside(handler, state);
      if (how === 'well') bringBack(handler, state);
    },
  };

  function setAside(handler: string, state: State): void {
    const isNews = state.asideUntilMs === undefined;
    state.asideUntilMs = deps.now() + deps.windowMs;
    if (!isNews) return;
    const line = { event: 'handler.set_aside', handler, reason: state.reason, events: state.crashes.length };
    deps.logger.error(line, 'it ends its process again and again: its events wait until a test run ends well');
  }

  function bringBack(handler: string, state: State): void {
    state.asideUntilMs = undefined;
    state.crashes = [];
    deps.logger.info({ event: 'handler.back', handler }, 'its test run ended well');
  }
}
