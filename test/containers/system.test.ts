import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { docker } from './docker-command.js';
import { ComposeProject } from './compose-project.js';

/** An app in ten portals that a simulator plays, and the example handlers. */
let project: ComposeProject;
let healthyAfterMs = Number.POSITIVE_INFINITY;

beforeAll(async () => {
  project = await ComposeProject.create({ files: ['deploy/demo.yml'] });
  const startedAtMs = Date.now();
  await project.up();
  healthyAfterMs = Date.now() - startedAtMs;
});

afterAll(() => project?.remove());

const SERVICES = ['api', 'proxy', 'redis', 'worker'];

test('everything is healthy within a minute, with no file to edit', async () => {
  const health = (await project.inspect()).map(({ State }) => State.Health?.Status);

  expect(health).toEqual(['healthy', 'healthy', 'healthy', 'healthy']);
  expect(healthyAfterMs).toBeLessThan(60_000);
});

describe('what a container may', () => {
  test('no process is that of root', async () => {
    const containers = await project.containers();
    const tables = await Promise.all(containers.map(({ id }) => docker(['top', id, '-eo', 'pid,uid,args'])));

    const uids = tables
      .flatMap((table) => table.trim().split('\n').slice(1))
      .map((line) => line.trim().split(/\s+/)[1]);

    expect(containers.map(({ service }) => service).toSorted()).toEqual(SERVICES);
    expect(uids.length).toBeGreaterThan(SERVICES.length);
    expect(uids).not.toContain('0');
  });

  test('nothing is published but the port of the proxy', async () => {
    const published = (await project.inspect()).flatMap(({ Name, NetworkSettings }) =>
      Object.entries(NetworkSettings.Ports).flatMap(([port, hosts]) => (hosts ? [`${Name} ${port}`] : [])),
    );

    expect(published).toEqual([expect.stringMatching(/-proxy-1 8080\/tcp$/)]);
  });

  test('it writes nowhere but to its volumes, has no capability, and its share is bounded', async () => {
    for (const { Name, HostConfig } of await project.inspect()) {
      expect([Name, HostConfig]).toEqual([
        Name,
        expect.objectContaining({ ReadonlyRootfs: true, Privileged: false, CapAdd: null, CapDrop: ['ALL'] }),
      ]);
      expect([Name, HostConfig.SecurityOpt]).toEqual([Name, ['no-new-privileges:true']]);
      expect(HostConfig.Memory).toBeGreaterThan(0);
      expect(HostConfig.PidsLimit).toBeGreaterThan(0);
    }
    await expect(project.compose(['exec', '-T', 'api', 'touch', '/app/file'])).rejects.toThrow(/Read-only file system/);
  });

  test('the proxy does not see Redis', async () => {
    const look = ['exec', '-T', 'proxy', 'getent', 'hosts'];

    await expect(project.compose([...look, 'api'])).resolves.toMatch(/api/);
    await expect(project.compose([...look, 'redis'])).rejects.toThrow(/Command failed/);
  });
});

describe('the tour', () => {
  test('with several of both, 1,000 events are answered once, and each ingress and each worker has its part', async () => {
    await project.up('--scale', 'worker=4', '--scale', 'api=2', '--no-recreate');

    const report = await project.compose([
      'run',
      '--rm',
      '--use-aliases',
      '-T',
      'simulator',
      '--install',
      '--events',
      '1000',
    ]);

    expect(report).toContain('1000 of 1000 messages exactly once, 0 more than once, 0 not at all');
    expect(report).toContain('Nothing is missing, and nothing came twice.');
    const accepted = await project.logged('api', 'delivery.accepted');
    const done = await project.logged('worker', 'delivery.done');
    expect([accepted.length, done.length]).toEqual([2, 4]);
    expect(Math.min(...accepted)).toBeGreaterThan(100);
    expect(Math.min(...done)).toBeGreaterThan(20);
  });

  test('all have the same key, which one of them made', async () => {
    const digest = ['exec', '-T', '--index', '2', 'api', 'stat', '-c', '%a %U %h', '/data/secret.key'];

    await expect(project.compose(digest)).resolves.toBe('600 node 1\n');
  });
});
