import type { ProcessOps } from '../shared/ops/ops.js';

/** What the first of several ingress processes asks the others, over their channel. */
export interface OpsQuestion {
  readonly type: 'ops.question';
  readonly id: number;
  readonly about: 'metrics' | 'readiness';
}

export interface OpsAnswer {
  readonly type: 'ops.answer';
  readonly id: number;
  /** Metrics as JSON, or a readiness: null while the process is starting. */
  readonly value: unknown;
}

/** One server speaks for all of them; this is how each of the others tells it what it knows. */
export function answerOps(ops: ProcessOps): void {
  process.on('message', (message: unknown) => {
    if (isOpsQuestion(message)) void answer(ops, message).catch(() => undefined);
  });
}

async function answer(ops: ProcessOps, { id, about }: OpsQuestion): Promise<void> {
  const value = about === 'metrics' ? await ops.registry.getMetricsAsJSON() : ((await ops.readiness()) ?? null);
  const message: OpsAnswer = { type: 'ops.answer', id, value };
  // Whoever asked may be gone; that ends this process, in its own time.
  process.send?.(message, undefined, {}, () => undefined);
}

function isOpsQuestion(message: unknown): message is OpsQuestion {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'ops.question';
}

export function isOpsAnswer(message: unknown): message is OpsAnswer {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'ops.answer';
}
