import type { ChildProcess } from 'node:child_process';
import type { Logger } from '../../shared/logger.js';
import { createLineBudget, type LineBudget } from './line-budget.js';
import { readLines } from './read-lines.js';

const LINE_LENGTH_MAX = 2000;
const LINES_MAX = 100;
const PERIOD_MS = 1000;

/** Logs what a host prints. The budget of lines is also for what its handlers log. */
export function logOutput({ stdout, stderr }: ChildProcess, logger: Logger): LineBudget & { end(): void } {
  const budget = createLineBudget(LINES_MAX, (lines) =>
    logger.warn({ event: 'handler.lines_left_out', lines }, `${lines} lines left out`),
  );
  const timer = setInterval(() => budget.renew(), PERIOD_MS);
  if (stdout)
    readLines(stdout, LINE_LENGTH_MAX, (line) => {
      if (budget.take()) logger.info({ event: 'handler.output', stream: 'stdout' }, line);
    });
  if (stderr)
    readLines(stderr, LINE_LENGTH_MAX, (line) => {
      if (budget.take()) logger.warn({ event: 'handler.output', stream: 'stderr' }, line);
    });
  return {
    ...budget,
    end() {
      clearInterval(timer);
      budget.renew();
    },
  };
}
