import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Registry, collectDefaultMetrics } from 'prom-client';
import { JOURNAL_BOUNDS, createIngressAlerts } from '../../src/api/ingress-alerts.js';
import { addStateMetrics, createIntakeMetrics } from '../../src/api/ingress-metrics.js';
import { ALERTS } from '../../src/shared/alerts/alert-rule.js';
import { QUEUE_BOUNDS, createQueueRules } from '../../src/shared/alerts/queue-rules.js';
import { USED_SHARE_MAX, createRedisRules } from '../../src/shared/alerts/redis-rules.js';
import { registerWatchMetrics } from '../../src/worker/watch/watch-metrics.js';
import { FAILURE_BOUNDS, createWorkerAlerts } from '../../src/worker/worker-alerts.js';
import { createWorkerMetrics } from '../../src/worker/worker-metrics.js';

const RULES = 'deploy/prometheus/rules.yml';
const DASHBOARD = 'deploy/grafana/dashboards/b24-events.json';
const IMAGE = 'prom/prometheus:latest';

interface Target {
  readonly expr: string;
  readonly datasource: { readonly uid: string };
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>;
  readonly targets?: readonly Target[];
}

interface Dashboard {
  readonly uid: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
}

const rules = readFileSync(RULES, 'utf8');
const dashboard = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as Dashboard;

/** Runs promtool on the files of `deploy/prometheus`; undefined where there is none. */
function findPromtool(): ((...args: readonly string[]) => string) | undefined {
  const folder = resolve('deploy/prometheus');
  const inImage = ['run', '--rm', '--network=none', `--volume=${folder}:/rules:ro`, '--workdir=/rules'];
  const run = (command: string, args: readonly string[]): string =>
    execFileSync(command, args, { cwd: folder, encoding: 'utf8', timeout: 50_000, stdio: 'pipe' });
  try {
    run('promtool', ['--version']);
    return (...args) => run('promtool', args);
  } catch {
    try {
      run('docker', ['image', 'inspect', IMAGE]);
      return (...args) => run('docker', [...inImage, '--entrypoint=/usr/bin/promtool', IMAGE, ...args]);
    } catch {
      return undefined;
    }
  }
}

/** All that the two processes register, under the names by which they are asked for. */
function registeredNames(): Set<string> {
  const registry = new Registry();
  // Each process has its own; both tell whether they reach Redis.
  const ofWorker = new Registry();
  const nowMs = (): number => 0;
  collectDefaultMetrics({ register: registry });
  createIntakeMetrics(registry);
  addStateMetrics(registry, () => Promise.reject(new Error('nobody asks')));
  createWorkerMetrics({ registry: ofWorker, askedEvents: [], effects: [], now: nowMs });
  const watch = {
    last: undefined,
    silentMs: undefined,
    readFailure: undefined,
    writeFailure: undefined,
    progresses: [],
    runMsMax: 0,
  };
  registerWatchMetrics({ registry: ofWorker, watch, probe: { tookMs: undefined }, nowMs, timeMs: nowMs });
  return new Set(
    [...registry.getMetricsAsArray(), ...ofWorker.getMetricsAsArray()].flatMap(({ name, type }) =>
      String(type) === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
    ),
  );
}

/** What an expression asks for: what is left without its texts, selectors, groupings, ranges, functions and words. */
function namesIn(expression: string): string[] {
  const bare = expression
    .replaceAll(/"[^"]*"/g, '')
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\b(?:by|on|without|ignoring)\s*\([^)]*\)/g, '')
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/\boffset\s+\w+/g, '');
  const names = bare.match(/[A-Za-z_:][\w:]*(?![\w:]*\s*\()/g) ?? [];
  return names.filter((name) => !['and', 'or', 'unless'].includes(name));
}

function expressionsIn(yaml: string): string[] {
  return [...yaml.matchAll(/^( +)expr: ([\s\S]*?)(?=\n\1\w|\n *- |\n *#|\n\n|$)/gm)].map(([, , text]) => text ?? '');
}

function alertsIn(yaml: string): string[] {
  return [...yaml.matchAll(/^ +- alert: (\S+)$/gm)].map(([, name]) => name ?? '');
}

function recordsIn(yaml: string): string[] {
  return [...yaml.matchAll(/^ +- record: (\S+)$/gm)].map(([, name]) => name ?? '');
}

/** The text of one rule. */
function ruleIn(yaml: string, name: string): string {
  return yaml.split(`- alert: ${name}\n`)[1]?.split('- alert: ')[0] ?? '';
}

/** How long each alert of ours must hold; but process-wedged, which is no rule. */
function ourTimes(): readonly (readonly [name: string, forSeconds: number])[] {
  const nobodyAsks = (): Promise<never> => Promise.reject(new Error('nobody asks'));
  const nowMs = (): number => 0;
  return [
    ...createIngressAlerts({ look: nobodyAsks, nowMs }),
    ...createQueueRules({ counts: nobodyAsks, effectTimeoutMs: 0, nowMs }),
    ...createRedisRules({ write: nobodyAsks, info: nobodyAsks }),
    ...createWorkerAlerts({ failures: () => new Map(), nowMs }),
  ].map(({ name, forMs }) => [name, forMs / 1000]);
}

/** What is compared with what, in the rules for Prometheus. */
const BOUNDS: readonly (readonly [alert: string, comparison: string])[] = [
  ['journal-growing', `b24_journal_oldest_age_seconds > ${JOURNAL_BOUNDS.oldMs / 1000}`],
  ['journal-growing', `b24_journal_records > ${JOURNAL_BOUNDS.records}`],
  ['redis-memory', `>= ${USED_SHARE_MAX}`],
  ['events-old', `> ${QUEUE_BOUNDS.oldMs / 1000}`],
  ['nothing-finishes', `[${QUEUE_BOUNDS.stillMs / 1000}s]`],
  ['nothing-finishes', `+ ${QUEUE_BOUNDS.beyondAttemptMs / 1000} > time()`],
  ['failures-rising', `>= ${FAILURE_BOUNDS.count}`],
  ['failures-rising', `<= ${FAILURE_BOUNDS.timesAsMany} *`],
];

/** Of which no process can tell itself. */
const PROMETHEUS_ALONE = 'process-down';

const promtool = findPromtool();
const describeWithPromtool = promtool ? describe : describe.skip;

describeWithPromtool(`promtool (on the PATH, or in the image ${IMAGE})`, () => {
  it('sees the rules fire on bad data and not on good', () => {
    expect(promtool?.('check', 'config', 'prometheus.yml')).toContain('SUCCESS');
    expect(promtool?.('test', 'rules', 'rules.test.yml')).toContain('SUCCESS');
  });
});

describe('the rules for Prometheus', () => {
  it('have the names of the alerts, each once', () => {
    expect(alertsIn(rules).toSorted()).toEqual([...Object.keys(ALERTS), PROMETHEUS_ALONE].toSorted());
  });

  it('are all tried on bad data, and on good', () => {
    const tests = readFileSync('deploy/prometheus/rules.test.yml', 'utf8').replaceAll(/\s+/g, ' ');
    const untested = alertsIn(rules).filter(
      (name) =>
        !tests.includes(`alertname: ${name} exp_alerts: -`) || !tests.includes(`alertname: ${name}, exp_alerts: []`),
    );
    expect(untested).toEqual([]);
  });

  it('fire after the same time as ours', () => {
    const theirs = ourTimes().map(([name]) => [name, Number(/^ +for: (\d+)s$/m.exec(ruleIn(rules, name))?.[1] ?? 0)]);
    expect(theirs).toEqual(ourTimes());
  });

  it.each(BOUNDS)('have for %s the bound of ours: %s', (name, comparison) => {
    expect(ruleIn(rules, name)).toContain(comparison);
  });

  it('ask for metrics that are there', () => {
    const known = new Set([...registeredNames(), ...recordsIn(rules), 'up']);
    const asked = expressionsIn(rules).flatMap(namesIn);
    expect(expressionsIn(rules)).toHaveLength(alertsIn(rules).length + recordsIn(rules).length);
    expect(asked).toContain('b24_failures_total');
    expect(asked.filter((name) => !known.has(name))).toEqual([]);
  });
});

describe('the page on operations', () => {
  it('explains every alert and no other', () => {
    const page = readFileSync('docs/operations.md', 'utf8').split('\n## What to watch\n')[1]?.split('\n## ')[0] ?? '';
    const told = [...page.matchAll(/^\| `([a-z-]+)` +\|/gm)].map(([, name]) => name ?? '');
    expect(told.toSorted()).toEqual([...Object.keys(ALERTS), PROMETHEUS_ALONE].toSorted());
  });
});

// Grafana itself does not run in these tests.
describe('the dashboard for Grafana', () => {
  const graphs = dashboard.panels.filter(({ type }) => type !== 'row');

  it('asks for metrics that are there', () => {
    const known = new Set([...registeredNames(), 'up', 'ALERTS']);
    const asked = graphs.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => namesIn(expr)));
    expect(asked).toContain('b24_ack_duration_seconds_bucket');
    expect(asked.filter((name) => !known.has(name))).toEqual([]);
  });

  it('shows every metric of our own', () => {
    const asked = new Set(graphs.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => namesIn(expr))));
    const ours = [...registeredNames()].filter((name) => name.startsWith('b24_') && !/_(?:count|sum)$/.test(name));
    expect(ours.filter((name) => !asked.has(name))).toEqual([]);
  });

  it('asks the datasource that is provisioned', () => {
    const uid = /^ +uid: (\S+)$/m.exec(
      readFileSync('deploy/grafana/provisioning/datasources/prometheus.yml', 'utf8'),
    )?.[1];
    const uids = graphs.flatMap(({ targets = [] }) => targets.map(({ datasource }) => datasource.uid));
    expect(new Set(uids)).toEqual(new Set([uid]));
  });

  it('has a fixed uid, and panels with ids of their own that do not cover one another', () => {
    const { panels } = dashboard;
    expect(dashboard).toMatchObject({ uid: 'b24-events', schemaVersion: 41 });
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)}.${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(panels.filter(({ gridPos: { x, w } }) => x + w > 24)).toEqual([]);
  });
});
