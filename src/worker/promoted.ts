import { errorMessage } from '../shared/caught-error.js';

interface Promotable {
  promote(): Promise<void>;
}

/** Lets a delayed job run now. False for one that is not delayed, perhaps not yet or because somebody else was faster. */
export async function promoted(job: Promotable): Promise<boolean> {
  try {
    await job.promote();
    return true;
  } catch (error) {
    if (/is not in the \w+ state|Missing key/.test(errorMessage(error))) return false;
    throw error;
  }
}
