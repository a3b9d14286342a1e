import type { Logger } from '../../shared/logger.js';

/**
 * Which handlers end their processes. One that did so {@link CRASHES_MAX} times within a while is *set aside*: its runs wait. After
 * the same while one run is let through as a *test*, which brings it back or sets it aside again.
 */
export interface CrashRecord {
  /** Whoever gets `test` must tell by `noteTestEnd` how it went. */
  admit(handler: string): Admission;
  /** `host` is the process that ended: several runs of one handler may have hung in it, and are one crash. */
  noteCrash(handler: string, how: string, host: object): void;
  /** `unknown`: it was not the test's own doing that it came to no end. */
  noteTestEnd(handler: string, how: 'well' | 'crashed' | 'unknown'): void;
}

export type Admission =
  { readonly kind: 'run' } | { readonly kind: 'test' } | { readonly kind: 'aside'; readonly reason: string };

export interface CrashRecordDeps {
  readonly windowMs: number;
  readonly now: () => number;
  readonly logger: Logger;
}

interface State {
  crashes: readonly { readonly atMs: number; readonly host: object }[];
  reason: string;
  asideUntilMs: number | undefined;
  isTesting: boolean;
}

const CRASHES_MAX = 3;

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
    noteCrash(handler, how, host) {
      const state = stateOf(handler);
      const atMs = deps.now();
      const recent = state.crashes.filter((crash) => crash.atMs > atMs - deps.windowMs);
      if (recent.some((crash) => crash.host === host)) return;
      state.crashes = [...recent, { atMs, host }];
      state.reason = how;
      if (state.crashes.length >= CRASHES_MAX) setAside(handler, state);
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
    const line = { event: 'handler.set_aside', handler, reason: state.reason, crashes: state.crashes.length };
    deps.logger.error(line, 'it ends its process again and again: its events wait until a test run ends well');
  }

  function bringBack(handler: string, state: State): void {
    state.asideUntilMs = undefined;
    state.crashes = [];
    deps.logger.info({ event: 'handler.back', handler }, 'its test run ended well');
  }
}
