import type { Agent } from 'undici';
import type { Config } from '../../shared/config.js';
import { fail, ok, unseenFromContainer, warn, type Finding } from './finding.js';
import { httpAddress, lookByHttp, silentFinding } from './http-look.js';
import type { Look } from './look.js';
import { parseOpsAnswer } from './parse-ops-answer.js';

type ProcessesConfig = Pick<Config, 'opsHost' | 'apiOpsPort' | 'workerOpsPort'>;

const ADVICE = 'look what listens there';

/** What the programs that run here say of themselves. */
export function processLooks(config: ProcessesConfig, deps: ProcessesDeps): readonly Look[] {
  const { opsHost, apiOpsPort, workerOpsPort } = config;
  return [
    { name: 'ingress', port: apiOpsPort, variable: 'API_OPS_PORT' },
    { name: 'worker', port: workerOpsPort, variable: 'WORKER_OPS_PORT' },
  ].map(({ name, port, variable }) => ({
    name,
    advice: ADVICE,
    look: () => lookAtReadiness({ name, variable, address: httpAddress(opsHost, port), port }, deps),
  }));
}

interface ProcessesDeps {
  readonly dispatcher: Agent;
  readonly isInContainer: boolean;
}

interface OpsPort {
  readonly name: string;
  readonly variable: string;
  readonly address: string;
  readonly port: number;
}

async function lookAtReadiness(
  { name, variable, address, port }: OpsPort,
  { dispatcher, isInContainer }: ProcessesDeps,
): Promise<readonly Finding[]> {
  const look = port === 0 ? undefined : await lookByHttp(`${address}/readyz`, dispatcher);
  const answer = look?.kind === 'answered' ? parseOpsAnswer(look.body) : undefined;
  if (look?.kind === 'silent') return [silentFinding(name, port)];
  if (!answer) return [isInContainer ? unseenFromContainer(name) : notFound(name, variable)];
  const problems = answer.problems.map((problem) => fail(name, problem, 'look at its log'));
  const warnings = answer.warnings.map((warning) => warn(name, warning, 'look at its log'));
  if (problems.length + warnings.length > 0) return [...problems, ...warnings];
  return answer.status === 'ready' ? [ok(name, 'ready')] : [warn(name, answer.status, 'wait, and look again')];
}

function notFound(name: string, variable: string): Finding {
  return warn(
    name,
    `none is found on this machine by ${variable}`,
    'start it, if it is to run here; its log tells its address (ops.listening)',
  );
}
