import { Registry } from 'prom-client';
import { errorCode } from '../caught-error.js';

/** What a process tells of itself to those who run it: metrics, and whether it does its work. */
export interface Ops {
  /** Of this process; whatever it counts is made in here. */
  readonly registry: Registry;
  /** Asked at every look at `/readyz`. Until it is given, the answer is that the process is starting. */
  readyWhen(look: () => Readiness | Promise<Readiness>): void;
  /** In place of the registry alone, for a process that speaks for others too. */
  metricsFrom(gather: () => Promise<string>): void;
}

/** The answer of `/readyz`: 200 where there is no problem, else 503; with all of this as its body. */
export interface Readiness {
  /** Why this process does not do its work, in sentences. */
  readonly problems: readonly string[];
  /** Trouble that a person should know of, though the process does its work. */
  readonly warnings: readonly string[];
  /** Numbers that help to understand either. */
  readonly facts: Readonly<Record<string, number>>;
}

/** The same from the other side: what is asked by the server of the process, or by the process that speaks for it. */
export interface OpsView {
  /** In the text format of Prometheus. */
  metrics(): Promise<string>;
  /** Never rejects, and answers soon; undefined while the process is starting. */
  readiness(): Promise<Readiness | undefined>;
}

export interface ProcessOps extends Ops, OpsView {
  /** From now on it is not ready, whatever else it could tell. */
  stopping(): void;
}

const LOOK_MS = 2000;

export function createOps(): ProcessOps {
  const registry = new Registry();
  let look: Parameters<Ops['readyWhen']>[0] | undefined;
  let gather = (): Promise<string> => registry.metrics();
  let isStopping = false;
  return {
    registry,
    readyWhen: (given) => void (look = given),
    metricsFrom: (given) => void (gather = given),
    metrics: () => gather(),
    readiness: async () => (isStopping ? withProblem('stopping') : look && lookInTime(look)),
    stopping: () => void (isStopping = true),
  };
}

async function lookInTime(look: () => Readiness | Promise<Readiness>): Promise<Readiness> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<Readiness>((resolve) => {
    timer = setTimeout(() => resolve(withProblem(`the look took longer than ${LOOK_MS / 1000} s`)), LOOK_MS);
  });
  try {
    return await Promise.race([look(), tooLate]);
  } catch (error) {
    // Not its message: nobody knows what is in it.
    return withProblem(`the look failed (${errorCode(error) ?? 'unknown'})`);
  } finally {
    clearTimeout(timer);
  }
}

function withProblem(problem: string): Readiness {
  return { problems: [problem], warnings: [], facts: {} };
}
