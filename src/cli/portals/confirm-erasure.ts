import { StartError } from '../../shared/start-error.js';
import type { Config } from '../../shared/config.js';
import type { PortalJobCounts } from '../../shared/portal-jobs.js';
import { viewConnectors } from '../connectors/portal-connectors.js';
import type { OnRedis } from '../run-on-redis.js';
import { plainText } from '../text-table.js';
import { isoOf } from '../moment.js';
import { erasePortal, portalJobsOf, type Erasure } from './erase-portal.js';
import { openPortals } from './open-portals.js';
import { viewPortal, type PortalView } from './portal-view.js';

export interface EraseOptions {
  readonly memberId: string;
  readonly json: boolean;
  /** Nobody is asked. */
  readonly yes: boolean;
}

/**
 * Says what is kept of the portal, asks, and erases it. Gives the exit code: 1 where something of it was still under way at the end,
 * or the person said no.
 *
 * @throws {StartError} where nobody can be asked, or the portal is one of APPLICATION_TOKENS.
 */
export async function confirmErasure({ memberId, json, yes }: EraseOptions, parts: OnRedis): Promise<number> {
  if (parts.config.applicationTokens.has(memberId))
    throw new StartError(
      `portal ${memberId} has an entry in APPLICATION_TOKENS, by which its events are believed: take it out for all processes first`,
    );
  if (!yes && !parts.ask) throw new StartError('nobody can be asked here: --yes erases without a question');
  const { portals, sealer } = await openPortals(parts);
  const view = await viewPortal(memberId, { ...parts, portals });
  const connectorLines = (await viewConnectors(memberId, parts)).filter(({ sinceTs }) => sinceTs > 0).length;
  const jobs = await portalJobsOf(parts).count(memberId, parts.signal);
  parts.say(keptLine(view, connectorLines, jobs));
  if (!yes && (await parts.ask?.('Erase all of it? There is no way back. Type yes: ')) !== 'yes') {
    parts.say('nothing was erased');
    return 1;
  }
  const erasure = await erasePortal(memberId, { ...parts, portals, sealer });
  const kept = { record: view.portal !== undefined, connector_lines: connectorLines, jobs };
  if (json) parts.write(JSON.stringify({ member_id: memberId, erased: kept, ...erasureFields(erasure) }));
  else for (const line of [...endLines(memberId, erasure), ...tokenLines(parts.config)]) parts.write(line);
  return erasure.underWay === 0 ? 0 : 1;
}

function keptLine({ memberId, portal, problem }: PortalView, connectorLines: number, jobs: PortalJobCounts): string {
  const { waiting, delayed, active, failed, completed } = jobs;
  const record = portal || problem !== undefined ? 'a record with its tokens' : 'no record';
  const counts = `${waiting} waiting, ${delayed} delayed, ${active} active, ${failed} failed, ${completed} completed`;
  const name = portal?.domain ? `${memberId} (${plainText(portal.domain)})` : memberId;
  return `kept of portal ${name}: ${record}; states of connectors: ${connectorLines}; jobs: ${counts}`;
}

function erasureFields({ underWay, beforeMs, newer }: Erasure): Readonly<Record<string, number | string>> {
  return { still_under_way: underWay, cancelled_before: isoOf(beforeMs), skipped_as_newer: newer };
}

function endLines(memberId: string, { underWay, beforeMs, newer }: Erasure): readonly string[] {
  const journal = 'what of it is still in a journal of an ingress is erased when its turn comes';
  const bound = `what is received before ${isoOf(beforeMs)} counts as the portal's that was erased: install the app anew only then`;
  const skipped = `jobs that were received later, and are kept: ${newer}`;
  if (underWay === 0) return [`erased: portal ${memberId}; ${journal}`, bound, skipped];
  return [
    `erased: portal ${memberId}, but ${underWay} of its jobs are still under way: give this command again when they have ended`,
    journal,
    bound,
    skipped,
  ];
}

/** This command may have been given less than the processes. */
function tokenLines({ applicationTokens }: Config): readonly string[] {
  if (applicationTokens.size > 0) return [];
  return [
    'APPLICATION_TOKENS is not given to this command: a portal that the processes know by it is believed on: take its entry out',
  ];
}
