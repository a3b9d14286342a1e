import type { AnyKnownEvent, BitrixEvent, JsonValue, OtherEvent } from '../../shared/bitrix24/event.js';
import type { KnownEventName } from '../../shared/bitrix24/event.js';
import type { RestParams } from '../../shared/bitrix24/rest/portal-calls.js';
import type { JobErrorCode } from '../../shared/errors.js';

// All that a module of HANDLERS_DIR may import: `import { defineHandler } from 'bitrix24-event-worker'`.

export type { BitrixEvent, JsonValue, KnownEventName, OtherEvent, RestParams };
export type * from '../../shared/bitrix24/event.js';

/**
 * The app's own code for some events. A run that throws is tried again, so what it does must bear that, or stand in
 * {@link HandlerContext.once}.
 */
export interface Handler<Name extends string = string> {
  /** Lower case letters, digits and dashes, at most 40; it stands in job ids, so do not change it while jobs wait. */
  readonly name: string;
  /** Names of events in capitals, as `ONIMCONNECTORMESSAGEADD`; with a `*` at the end, all that begin so. */
  readonly events: readonly Name[];
  run(event: EventOf<Name>, ctx: HandlerContext): Promise<void> | void;
}

/** What an event of such a name, or of a name that fits such a pattern, looks like. */
export type EventOf<Name extends string> = string extends Name
  ? BitrixEvent
  : Name extends `${infer Start}*`
    ? Extract<AnyKnownEvent, { readonly name: `${Start}${string}` }> | OtherEvent
    : Name extends KnownEventName
      ? Extract<AnyKnownEvent, { readonly name: Name }>
      : OtherEvent;

export interface HandlerContext {
  readonly portal: HandlerPortal;
  /** The same for every run for one event, and for its duplicates: an idempotency key for whatever is called. */
  readonly eventId: string;
  /** Of the POST that told it first. */
  readonly deliveryId: string;
  readonly receivedAtMs: number;
  readonly b24: HandlerRest;
  readonly connectors: HandlerConnectors;
  readonly log: HandlerLog;
  /** Aborted at the deadline of the run (EFFECT_TIMEOUT_MS) and when the worker stops. Who goes on is ended with its process. */
  readonly signal: AbortSignal;
  /**
   * Runs a step once for this event and this handler, and gives its result again in every later run. It may be what JSON can say,
   * up to 16 KiB. Steps of one handler need names of their own.
   *
   * A crash between the step and the note that it is done runs it again, except with `atMostOnce`: then the handler is given up
   * with ONCE_UNKNOWN, and a person looks.
   */
  once<Result extends JsonValue | void>(
    step: string,
    fn: () => Promise<Result> | Result,
    options?: OnceOptions,
  ): Promise<Result>;
}

export interface OnceOptions {
  /**
   * For what is not idempotent: begun once, the step never runs again by itself. `'one-call'` says that it is one REST call and
   * nothing else, such as `imconnector.send.messages`: it runs again only where that call proves that nothing was done.
   */
  readonly atMostOnce?: boolean | 'one-call';
}

/** The Bitrix24 account that the event is about. */
export interface HandlerPortal {
  readonly memberId: string;
  /** As the portal calls itself; its host may be another one after a rename. */
  readonly domain: string | null;
  /** Where its REST calls go, without the scheme; null where the app is not installed. */
  readonly host: string | null;
  /** Whether REST calls are possible at all. */
  readonly isInstalled: boolean;
}

export interface HandlerRest {
  /**
   * Calls a method as the app, and gives its `result`. Tokens, renewal, limits and renames are taken care of.
   *
   * @throws {CallError} which, when it is not caught, says by itself whether the run is tried again.
   */
  call(method: string, params?: RestParams): Promise<JsonValue>;
}

export interface HandlerConnectors {
  /** Whether the connector is switched on for that open line, as the events of the portal tell. */
  isOn(connector: string, line: number): Promise<boolean>;
}

export interface HandlerLog {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export type LogFields = { readonly [name: string]: JsonValue | undefined };

/** What a call of {@link HandlerContext} fails with. */
export interface CallError extends Error {
  /** `REST_REFUSED`, `PORTAL_SUSPENDED`, …: see docs/failures.md. */
  readonly code: JobErrorCode;
  /** Begins with Bitrix24's own code where it gave one. */
  readonly detail?: string;
}

/** A handler whose `event` has the type that belongs to its `events`. */
export function defineHandler<const Name extends KnownEventName | (string & {})>(
  handler: Handler<Name>,
): Handler<Name> {
  return handler;
}

/** To be thrown: the run is to be tried again. With `afterMs` that uses up no attempt, and happens no sooner. */
export function later(reason: string, options: { readonly afterMs?: number } = {}): HandlerVerdict {
  return new HandlerVerdict('later', reason, options.afterMs);
}

/** To be thrown: no other run can succeed. It goes to the failed jobs at once, for a person to look at. */
export function never(reason: string): HandlerVerdict {
  return new HandlerVerdict('never', reason);
}

/** Whether it is a failed call, of one of these codes where any are given. */
export function isCallError(error: unknown, ...codes: readonly JobErrorCode[]): error is CallError {
  if (typeof error !== 'object' || error === null || !('name' in error) || !('code' in error)) return false;
  return error.name === 'JobError' && (codes.length === 0 || codes.some((code) => code === error.code));
}

/** Made by {@link later} and {@link never}. */
export class HandlerVerdict extends Error {
  constructor(
    readonly handlerVerdict: 'later' | 'never',
    message: string,
    readonly afterMs?: number,
  ) {
    super(message);
    this.name = 'HandlerVerdict';
  }
}
