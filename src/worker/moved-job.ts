import { errorMessage } from '../shared/caught-error.js';

interface Promotable {
  promote(): Promise<void>;
}

/** Lets a delayed job run now. False for one that is not delayed, perhaps not yet or because somebody else was faster. */
export function promoted(job: Promotable): Promise<boolean> {
  return moved(job.promote());
}

/** Whether a job went from one state to another; false for one that is gone, or in another state than the one it was to leave. */
export async function moved(move: Promise<void>): Promise<boolean> {
  try {
    await move;
    return true;
  } catch (error) {
    if (/is not in the \w+ state|Missing key/.test(errorMessage(error))) return false;
    throw error;
  }
}
