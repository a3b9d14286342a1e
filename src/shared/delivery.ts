import { JobError } from './errors.js';
import type { JsonValue, OpenAuth, ParsedBody } from './bitrix24/event.js';

/**
 * One POST, as it stands in the journal and as the data of a job in the queue `deliveries`.
 *
 * The ingress writes it and the worker reads it, so it carries a version: a worker that meets a newer one puts the job off
 * until it has been updated itself. No field of it is secret; what was secret in the POST is inside `seal`.
 */
export interface Delivery {
  readonly v: typeof DELIVERY_VERSION;
  /** Of this POST alone; also the id of the job. */
  readonly id: string;
  /** Of what the POST tells; duplicates share it. */
  readonly eventId: string;
  readonly receivedAtMs: number;
  /** The event's code in upper case, `ONIMCONNECTORMESSAGEADD`. */
  readonly name: string;
  /** The row of the subscription on the portal; several events share it, some have none. */
  readonly handlerId: number | null;
  /** Whole seconds since 1970, set by the portal. */
  readonly ts: number;
  readonly auth: OpenAuth;
  readonly body: ParsedBody;
  /** The sealed {@link Secrets}. */
  readonly seal: string;
  /**
   * Absent for what was posted to EVENTS_PATH. `incoming`: a message from the app's own side; the ingress has checked its signature,
   * and there is no application token in it. `page`: the installation page, which everybody can open.
   */
  readonly source?: 'incoming' | 'page';
  /** Where it stands in its trace (`traceparent`); absent where traces are off. */
  readonly trace?: string;
  /** Of this record as JSON, which may be longer than the POST: about what its job costs in Redis. */
  readonly bytes: number;
}

export const DELIVERY_VERSION = 1;

/** Begins the name of every message from the app's own side, and of no event of a portal: the ingress refuses such. */
export const INCOMING_PREFIX = 'INCOMING.';

/**
 * A larger delivery is not kept for a look at it once it has ended well: a bound by number alone would let a few thousand large
 * ones, a stranger's perhaps, fill Redis.
 */
const KEPT_BYTES_MAX = 16_384;

export function isKeptWhenDone({ bytes }: Pick<Delivery, 'bytes'>): boolean {
  return bytes <= KEPT_BYTES_MAX;
}

/** What a POST carried that must never stand in the open. */
export interface Secrets {
  /** All of `auth` that is not on the list of plain fields: `application_token`, `access_token`, `refresh_token`, … */
  readonly auth: Readonly<Record<string, JsonValue>>;
  /** Values taken out of `data`, in the order in which `[sealed]` took their places, and the whole of each text that held one. */
  readonly data: readonly JsonValue[];
}

/** The JSON of a delivery, with its own length in it. */
export function toRecord(delivery: Omit<Delivery, 'bytes'>): string {
  const text = JSON.stringify(delivery);
  return `${text.slice(0, -1)},"bytes":${text.length}}`;
}

/**
 * The delivery that a job carries.
 *
 * @throws {JobError} JOB_VERSION_UNKNOWN (later) for one that a newer release wrote, DATA_INVALID (never) for anything else.
 */
export function readDelivery(data: unknown): Delivery {
  const version = typeof data === 'object' && data !== null && 'v' in data ? data.v : undefined;
  // What carries our version was written by the ingress of this release, which parsed it.
  if (version === DELIVERY_VERSION) return data as Delivery;
  if (typeof version === 'number' && version > DELIVERY_VERSION)
    throw new JobError('JOB_VERSION_UNKNOWN', `version ${version}`);
  throw new JobError('DATA_INVALID', 'the job does not carry a delivery');
}
