import { expect } from '@jest/globals';
import { Load, type System } from './system.js';

export interface Failover {
  /** Resolves when another server is the master. */
  readonly fail: () => Promise<void>;
  /** Resolves when the old master is back, as a replica. */
  readonly heal: () => Promise<void>;
}

/**
 * Every POST is answered with 200 and processed, before the old master is back and after; no process was started anew. What the
 * old master had confirmed and had not handed on may be done twice.
 */
export async function expectNothingLost(system: System, { fail, heal }: Failover): Promise<void> {
  const load = new Load(system, { lanes: 2 });
  await load.reaches(150);
  await fail();
  await load.more(50);
  await expectOnlyOks(load);
  await system.allForwarded(load.accepted);
  const later = new Load(system, { lanes: 2, from: 1_000_000 });
  await later.reaches(50);
  await heal();
  await later.more(50);
  await expectOnlyOks(later);
  await system.allForwarded(later.accepted);
  expect([system.api?.child.exitCode, system.worker?.child.exitCode]).toEqual([null, null]);
}

async function expectOnlyOks(load: Load): Promise<void> {
  await load.stop();
  expect(load.errors).toEqual([]);
  expect(load.answers.filter(({ status }) => status !== 200)).toEqual([]);
}
