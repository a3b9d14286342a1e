import { z } from 'zod';
import type { Portal, Removal } from './portals.js';
import type { Sealer } from './sealer.js';

/**
 * What stands in Redis of a portal; the tokens are sealed, and open only in the record of their portal.
 *
 * Exact both ways: of a record with more fields, or fewer, this release cannot know what writing it back would lose.
 */
const RECORD = z.strictObject({
  v: z.literal(2),
  domain: z.string().nullable(),
  clientEndpoint: z.string().nullable(),
  serverEndpoint: z.string().nullable(),
  installedAtMs: z.number(),
  installedTs: z.number(),
  paymentTs: z.number(),
  suspension: z
    .strictObject({
      reason: z.enum(['payment', 'deleted', 'access', 'overload', 'reauthorize']),
      sinceMs: z.number(),
      probeAtMs: z.number().nullable(),
    })
    .nullable(),
  isEnterprise: z.boolean(),
  seal: z.string(),
});

const SEALED_PART = z.strictObject({
  applicationTokens: z.array(z.strictObject({ token: z.string(), receivedBeforeMs: z.number().nullable() })),
  oauth: z
    .strictObject({
      accessToken: z.string(),
      refreshToken: z.string(),
      userId: z.number().nullable(),
      generation: z.number(),
    })
    .nullable(),
});

const REMOVAL = z.strictObject({ receivedAtMs: z.number(), deliveryId: z.string(), isClean: z.boolean() });

/** @throws rather than write what no release could read: a field too many, or what JSON has no number for. */
export function encodePortal(sealer: Sealer, { memberId, applicationTokens, oauth, ...open }: Portal): string {
  const sealed = JSON.stringify(SEALED_PART.parse({ applicationTokens, oauth }));
  const seal = sealer.seal(sealed, contextOf(memberId));
  return JSON.stringify(RECORD.parse({ v: 2, ...open, seal }));
}

/** Something stands there, and this process cannot read it: it lacks the key, or is of another release. */
export class PortalRecordError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PortalRecordError';
  }
}

/** @throws {PortalRecordError} so that the job is put off: a portal whose record cannot be read is not an unknown portal. */
export function decodePortal(sealer: Sealer, memberId: string, text: string): Portal {
  const { v: _version, seal, ...open } = parsed(RECORD, text, `the record of portal ${memberId}`);
  const opened = sealer.open(seal, contextOf(memberId));
  if (opened.status !== 'opened')
    throw new PortalRecordError(`the record of portal ${memberId} cannot be opened: ${opened.status}`);
  const sealed = parsed(SEALED_PART, opened.plain, `the sealed part of the record of portal ${memberId}`);
  return { memberId, ...open, ...sealed };
}

/** Whether the key that seals now sealed this record. Throws as {@link decodePortal} does. */
export function isSealedAsNow(sealer: Sealer, memberId: string, text: string): boolean {
  return sealer.isCurrent(parsed(RECORD, text, `the record of portal ${memberId}`).seal);
}

export function encodeRemoval(removal: Removal): string {
  return JSON.stringify(REMOVAL.parse(removal));
}

/** @throws {PortalRecordError} likewise: without it what was to be cancelled would go on. */
export function decodeRemoval(memberId: string, text: string): Removal {
  return parsed(REMOVAL, text, `the removal of portal ${memberId}`);
}

/** Says nothing of what stands there. */
function parsed<Schema extends z.ZodType>(schema: Schema, text: string, what: string): z.infer<Schema> {
  const { data } = schema.safeParse(jsonOf(text));
  if (data === undefined) throw new PortalRecordError(`${what} was written by another release`);
  return data;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function contextOf(memberId: string): string {
  return JSON.stringify(['portal', memberId]);
}
