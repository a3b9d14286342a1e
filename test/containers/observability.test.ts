import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { findFreePort } from '../../src/cli/free-port.js';
import { waitUntil } from '../support/wait-until.js';
import { ComposeProject } from './compose-project.js';

let project: ComposeProject;
let port: number;

interface Target {
  readonly labels: { readonly job: string };
  readonly health: string;
}

beforeAll(async () => {
  port = await findFreePort();
  project = await ComposeProject.create({ env: { PROMETHEUS_PORT: String(port) } });
  // Without Grafana, whose files are looked at where they lie.
  await project.up('--scale', 'api=2', 'proxy', 'api', 'worker', 'redis', 'prometheus');
});

afterAll(() => project?.remove());

test('Prometheus finds every ingress and every worker, and takes our rules', async () => {
  await waitUntil('all targets are up', async () => (await upJobs()).join() === 'api,api,worker', {
    timeoutMs: 60_000,
  });

  const { groups } = await ask<{ groups: readonly { readonly rules: readonly unknown[] }[] }>('rules');

  expect(groups.flatMap(({ rules }) => rules).length).toBeGreaterThan(5);
});

async function upJobs(): Promise<readonly string[]> {
  const { activeTargets } = await ask<{ activeTargets: readonly Target[] }>('targets?state=active');
  return activeTargets
    .filter(({ health }) => health === 'up')
    .map(({ labels }) => labels.job)
    .toSorted();
}

async function ask<Data>(path: string): Promise<Data> {
  const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
  return ((await answer.json()) as { readonly data: Data }).data;
}
