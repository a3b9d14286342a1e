import type { Worker } from 'node:cluster';
import { AggregatorRegistry, type Registry } from 'prom-client';
import type { Readiness } from '../shared/ops/ops.js';
import { isOpsAnswer, type OpsQuestion } from './answer-ops.js';
import { mergeReadiness, type ToldReadiness } from './merge-readiness.js';

export interface MergedOpsDeps {
  /** Those that run, the ones that are just starting included. */
  readonly children: () => Iterable<Worker>;
  /** Of the process that asks. */
  readonly registry: Registry;
}

const ANSWER_MS = 1000;

/** What several ingress processes tell of themselves, as if they were one. */
export class MergedOps {
  readonly #deps: MergedOpsDeps;
  #lastId = 0;

  constructor(deps: MergedOpsDeps) {
    this.#deps = deps;
  }

  async metrics(): Promise<string> {
    const told = await this.#askAll('metrics');
    const own = await this.#deps.registry.getMetricsAsJSON();
    const answered = told.flatMap(({ value }) => (Array.isArray(value) ? [value] : []));
    return AggregatorRegistry.aggregate([own, ...answered]).metrics();
  }

  async readiness(): Promise<Readiness> {
    const told = await this.#askAll('readiness');
    return mergeReadiness(told.map(({ pid, value }) => ({ pid, readiness: readinessIn(value) })));
  }

  #askAll(about: OpsQuestion['about']): Promise<{ readonly pid: number; readonly value: unknown }[]> {
    const children = [...this.#deps.children()];
    return Promise.all(
      children.map(async (child) => ({ pid: child.process.pid ?? 0, value: await this.#ask(child, about) })),
    );
  }

  /** Undefined where it does not answer. */
  #ask(child: Worker, about: OpsQuestion['about']): Promise<unknown> {
    const id = (this.#lastId += 1);
    return new Promise((resolve) => {
      const settle = (value: unknown): void => {
        clearTimeout(timer);
        child.off('message', hear);
        resolve(value);
      };
      const hear = (message: unknown): void => {
        if (isOpsAnswer(message) && message.id === id) settle(message.value);
      };
      const timer = setTimeout(() => settle(undefined), ANSWER_MS);
      child.on('message', hear);
      const question: OpsQuestion = { type: 'ops.question', id, about };
      child.send(question, (error) => {
        if (error) settle(undefined);
      });
    });
  }
}

/** What was told is of this same release. */
function readinessIn(value: unknown): ToldReadiness['readiness'] {
  if (value === undefined) return 'silent';
  return value === null ? 'starting' : (value as Readiness);
}
