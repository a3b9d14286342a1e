import type { Sealer } from '../../shared/sealer.js';

/** What a person who was found to be an administrator may do for a few minutes, with a token of their own. */
export interface ConnectorTicket {
  readonly accessToken: string;
  readonly connector: string;
  readonly line: number;
  readonly expiresAtMs: number;
}

const TICKET_MS = 600_000;

/** In the page, sealed: it opens at this app alone, and for no other portal. */
export function sealTicket(
  sealer: Sealer,
  ticket: Omit<ConnectorTicket, 'expiresAtMs'>,
  { memberId, nowMs }: { readonly memberId: string; readonly nowMs: number },
): string {
  const whole: ConnectorTicket = { ...ticket, expiresAtMs: nowMs + TICKET_MS };
  return sealer.seal(JSON.stringify(whole), contextOf(memberId));
}

/** undefined for one that is too old, altered, or another portal's. */
export function openTicket(
  sealer: Sealer,
  text: string,
  { memberId, nowMs }: { readonly memberId: string; readonly nowMs: number },
): ConnectorTicket | undefined {
  const opened = sealer.open(text, contextOf(memberId));
  if (opened.status !== 'opened') return undefined;
  // The seal authenticates what this program wrote, so it needs no second check.
  const ticket = JSON.parse(opened.plain) as ConnectorTicket;
  return nowMs < ticket.expiresAtMs ? ticket : undefined;
}

function contextOf(memberId: string): string {
  return JSON.stringify(['connector-page', memberId]);
}
