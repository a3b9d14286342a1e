import type { z } from 'zod';
import { appInstall, appPayment, appUninstall, appUpdate } from './app-schemas.js';
import type { Issue, KnownEventName, KnownPayload, PayloadByName } from './event.js';
import { dialogChange, lineDelete, messageAdd, messageDelete, messageUpdate, statusDelete } from './message-schemas.js';

/** A body of ten thousand faults is told by its first ones. */
const ISSUES_MAX = 20;
/** Characters of a path and of one step in it: a sender's keys are as long as he likes, and stand in every issue. */
const PATH_LENGTH_MAX = 200;
const STEP_LENGTH_MAX = 64;

const SCHEMAS: { readonly [Name in KnownEventName]: z.ZodType<PayloadByName[Name]> } = {
  ONIMCONNECTORMESSAGEADD: messageAdd,
  ONIMCONNECTORMESSAGEUPDATE: messageUpdate,
  ONIMCONNECTORMESSAGEDELETE: messageDelete,
  ONIMCONNECTORDIALOGSTART: dialogChange,
  ONIMCONNECTORDIALOGFINISH: dialogChange,
  ONIMCONNECTORSTATUSDELETE: statusDelete,
  ONIMCONNECTORLINEDELETE: lineDelete,
  ONAPPINSTALL: appInstall,
  ONAPPUPDATE: appUpdate,
  ONAPPUNINSTALL: appUninstall,
  ONAPPPAYMENT: appPayment,
};

export type PayloadResult =
  { readonly ok: true; readonly payload: KnownPayload } | { readonly ok: false; readonly issues: readonly Issue[] };

/**
 * The `data` of a known event, as decoded from the wire or from JSON, to its normalised payload. The paths of issues
 * follow the sender's spelling, `data.MESSAGES.0.chat.id`; messages quote no values.
 */
export function parsePayload(name: KnownEventName, data: unknown): PayloadResult {
  const result = SCHEMAS[name].safeParse(data);
  if (result.success) return { ok: true, payload: result.data };
  const issues = result.error.issues.slice(0, ISSUES_MAX).map(({ path, message }) => ({
    path: pathAsSent(path, { data, usesCapitals: name !== 'ONIMCONNECTORSTATUSDELETE' }),
    message,
  }));
  return { ok: false, issues };
}

interface Sent {
  readonly data: unknown;
  /** Whether the portal writes the outermost names in capitals; tells how to spell one that is missing. */
  readonly usesCapitals: boolean;
}

function pathAsSent(path: readonly PropertyKey[], { data, usesCapitals }: Sent): string {
  const steps = ['data'];
  let value = data;
  for (const step of path.map(String)) {
    if (typeof value !== 'object' || value === null || (Array.isArray(value) && !DIGITS.test(step))) break;
    const keys = Object.keys(value);
    const isOutermost = steps.length === 1;
    const key =
      keyAsSent(keys, step, Array.isArray(value)) ?? (isOutermost && usesCapitals ? step.toUpperCase() : step);
    steps.push(cut(key, STEP_LENGTH_MAX));
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return cut(steps.join('.'), PATH_LENGTH_MAX);
}

function cut(text: string, lengthMax: number): string {
  return text.length > lengthMax ? `${text.slice(0, lengthMax - 1)}…` : text;
}

const DIGITS = /^\d+$/;

function keyAsSent(keys: readonly string[], step: string, isArray: boolean): string | undefined {
  if (isArray || keys.includes(step)) return step;
  // The schema counts the items of a map that stands for a list; the sender numbered them.
  if (keys.every((key) => DIGITS.test(key))) return keys[Number(step)];
  return keys.find((key) => key.toLowerCase() === step.toLowerCase());
}
