import type { Readiness } from '../shared/ops/ops.js';
import { INGRESS_FIGURES, type IngressFigure } from './ingress-figures.js';

export interface ToldReadiness {
  readonly pid: number;
  readonly readiness: Readiness | 'starting' | 'silent';
}

const MERGE: { readonly [Way in IngressFigure['aggregator']]: (values: readonly number[]) => number } = {
  sum: (values) => values.reduce((sum, value) => sum + value, 0),
  max: (values) => Math.max(...values),
  min: (values) => Math.min(...values),
};

/**
 * Of several processes that share one port: they are ready as long as one of them is. To send events elsewhere, or nowhere, would
 * turn away what that one can keep. What the others lack is a warning then.
 */
export function mergeReadiness(told: readonly ToldReadiness[]): Readiness {
  const answers = told.flatMap(({ pid, readiness }) => (typeof readiness === 'string' ? [] : [{ pid, readiness }]));
  const warnings = answers.flatMap(({ readiness }) => readiness.warnings);
  const absent = told.flatMap(({ pid, readiness }) => absence(pid, readiness));
  const readyCount = answers.filter(({ readiness }) => readiness.problems.length === 0).length;
  const facts = { processes: told.length, processesReady: readyCount, ...mergeFacts(answers) };
  if (readyCount === 0) {
    const problems = unique(answers.flatMap(({ readiness }) => readiness.problems));
    return {
      problems: problems.length > 0 ? problems : ['no ingress process takes events'],
      warnings: [...absent, ...unique(warnings)],
      facts,
    };
  }
  const ofSome = answers.flatMap(({ pid, readiness }) =>
    readiness.problems.map((problem) => `process ${pid}: ${problem}`),
  );
  return { problems: [], warnings: [...ofSome, ...absent, ...unique(warnings)], facts };
}

function absence(pid: number, readiness: ToldReadiness['readiness']): string[] {
  if (readiness === 'starting') return [`process ${pid} is starting`];
  return readiness === 'silent' ? [`process ${pid} does not answer`] : [];
}

function mergeFacts(answers: readonly { readonly readiness: Readiness }[]): Record<string, number> {
  const facts: Record<string, number> = {};
  for (const { fact, aggregator } of INGRESS_FIGURES) {
    if (fact === undefined) continue;
    const values = answers.flatMap(({ readiness }) => readiness.facts[fact] ?? []);
    if (values.length > 0) facts[fact] = MERGE[aggregator](values);
  }
  return facts;
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}
