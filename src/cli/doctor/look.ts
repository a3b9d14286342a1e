import { errorMessage } from '../../shared/caught-error.js';
import { withTimeLimit } from '../../shared/time-limit.js';
import { fail, type Finding } from './finding.js';

/** Something to look at. It has a time limit, and whatever it throws is a finding of its own. */
export interface Look {
  readonly name: string;
  /** What to do where it fails in a way that it does not tell of itself. */
  readonly advice: string;
  readonly timeoutMs?: number;
  readonly look: () => Promise<Finding | readonly Finding[]>;
}

export const LOOK_TIMEOUT_MS = 3000;

/** All at once, told in their order. */
export async function runLooks(looks: readonly Look[]): Promise<readonly Finding[]> {
  const findings = await Promise.all(looks.map(runLook));
  return findings.flat();
}

async function runLook({ name, advice, timeoutMs = LOOK_TIMEOUT_MS, look }: Look): Promise<readonly Finding[]> {
  try {
    return [await withTimeLimit(look(), timeoutMs, 'the look at it')].flat();
  } catch (error) {
    return [fail(name, errorMessage(error), advice)];
  }
}
