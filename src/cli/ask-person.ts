import { createInterface } from 'node:readline/promises';

/**
 * Asks at the terminal, beside the results of the command. Gives an empty answer where the person ends the input instead; a signal,
 * Ctrl-C among them, ends the question with the command.
 */
export async function askPerson(question: string, signal: AbortSignal): Promise<string> {
  // Not as a terminal: it would take Ctrl-C for itself.
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  try {
    const end = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
    return (await Promise.race([lines.question(question, { signal }), end])).trim();
  } finally {
    lines.close();
  }
}
