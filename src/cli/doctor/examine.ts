import { Agent } from 'undici';
import { errorMessage } from '../../shared/caught-error.js';
import { CONFIG_FIELDS } from '../../shared/config-fields.js';
import type { Config } from '../../shared/config.js';
import { createKeys } from '../../shared/keys.js';
import { createLogger } from '../../shared/logger.js';
import type { Redis } from '../../shared/redis.js';
import { withTimeLimit } from '../../shared/time-limit.js';
import { fail, warn, type Finding } from './finding.js';
import { LOOK_TIMEOUT_MS, runLooks, type Look } from './look.js';
import { lookAtConfiguration } from './look-at-configuration.js';
import { diskLooks } from './look-at-disk.js';
import { forwardLooks, noticeLooks } from './look-at-forward.js';
import { keyLooks } from './look-at-key.js';
import { lookAtPortals } from './look-at-portals.js';
import { portLooks } from './look-at-ports.js';
import { processLooks } from './look-at-processes.js';
import { queueLooks } from './look-at-queues.js';
import { redisLooks, redisLooksInTurn } from './look-at-redis.js';
import { lookAtWorkers } from './look-at-workers.js';
import { notReached, reachRedis, type ReachedRedis } from './reach-redis.js';
import { readConfiguration, type ReadConfiguration } from './read-configuration.js';
import { checkOf, type Check } from './report.js';

export interface Examination {
  readonly env: NodeJS.ProcessEnv;
  readonly memberId: string | undefined;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  readonly echoTimeoutMs: number;
  readonly isInContainer: boolean;
  /** Told of each group as it is done. */
  readonly onGroup: (title: string, checks: readonly Check[]) => void;
}

/** One group after the other, so that what is measured is not disturbed. */
interface Group {
  readonly name: string;
  readonly title: string;
  /** What it reads: where one of these is wrong nothing can be said. */
  readonly needs: readonly (keyof Config)[];
  run(): Promise<readonly Finding[]>;
}

/** Says whether the configuration can be read. */
export async function examine(examination: Examination): Promise<boolean> {
  const read = readConfiguration(examination.env);
  const dispatcher = new Agent({ connect: { timeout: 2000 } });
  // First of all, because most groups look into it.
  const reached = wrongOf(REDIS_FIELDS, read).length > 0 ? NOT_TRIED : await reachRedis(read.config);
  try {
    for (const group of groupsOf({ ...examination, read, dispatcher, reached })) {
      if (examination.signal.aborted) break;
      const findings = await findingsOf(group, read);
      const checks = findings.map((finding) => checkOf(group.name, finding));
      examination.onGroup(group.title, checks);
    }
  } finally {
    reached.redis?.disconnect();
    await dispatcher.destroy();
  }
  return read.problems.length === 0;
}

interface Parts extends Examination {
  readonly read: ReadConfiguration;
  readonly dispatcher: Agent;
  readonly reached: ReachedRedis;
}

const REDIS_FIELDS = [
  'redisUrl',
  'redisSentinels',
  'redisSentinelName',
  'redisSentinelPassword',
  'redisClusterNodes',
  'redisTlsCa',
  'queuePrefix',
  'dataDir',
] as const;
const KEY_FIELDS = ['secretKey', 'secretKeyPrevious', 'dataDir', 'queuePrefix'] as const;
const OPS_FIELDS = ['opsHost', 'apiOpsPort', 'workerOpsPort'] as const;
const PORTAL_FIELDS = [
  'applicationTokens',
  'publicUrl',
  'eventsPath',
  'b24ClientId',
  'b24ClientSecret',
  'b24PortalHosts',
  'b24OauthHosts',
  'b24Events',
  'b24Connectors',
] as const;

/** Never told: the group of Redis says which of its variables are wrong. */
const NOT_TRIED: ReachedRedis = { redis: undefined, finding: notReached('reachable') };

function groupsOf(parts: Parts): readonly Group[] {
  const { read, env } = parts;
  const { config } = read;
  return [
    { name: 'configuration', title: 'Configuration', needs: [], run: async () => lookAtConfiguration(read, env) },
    { name: 'redis', title: 'Redis', needs: REDIS_FIELDS, run: () => runRedis(parts) },
    ...machineGroups(parts),
    {
      name: 'queues',
      title: 'Queues',
      needs: ['queuePrefix'],
      run: looks(() =>
        withRedis(parts.reached, (redis) => queueLooks({ ...parts, redis, prefix: config.queuePrefix })),
      ),
    },
    { name: 'portals', title: 'Portals', needs: [...PORTAL_FIELDS, ...KEY_FIELDS], run: () => runPortals(parts) },
    {
      name: 'forward',
      title: 'Where events go',
      needs: ['forwardUrl', 'forwardSecrets', 'handlersDir'],
      run: looks(() => forwardLooks(config)),
    },
    {
      name: 'notices',
      title: 'Where alerts and traces go',
      needs: ['alertUrl', 'otlpEndpoint'],
      run: looks(() => noticeLooks(config)),
    },
  ];
}

/** What is on this machine. */
function machineGroups({ read, dispatcher, reached, isInContainer }: Parts): readonly Group[] {
  const { config } = read;
  const keys = createKeys(config.queuePrefix);
  return [
    {
      name: 'key',
      title: 'Key',
      needs: KEY_FIELDS,
      run: looks(() => keyLooks({ config, redis: reached.redis, keys })),
    },
    {
      name: 'disk',
      title: 'Disk',
      needs: ['dataDir', 'diskFreeBytesMin', 'journalBytesMax'],
      run: looks(() => diskLooks(config, isInContainer)),
    },
    {
      name: 'ports',
      title: 'Ports',
      needs: ['apiHost', 'apiPort', 'publicUrl', ...OPS_FIELDS],
      run: looks(() => portLooks(config, { dispatcher, isInContainer })),
    },
    {
      name: 'processes',
      title: 'Processes',
      needs: [...OPS_FIELDS, 'queuePrefix'],
      run: looks(() => [
        ...processLooks(config, { dispatcher, isInContainer }),
        ...withRedis(reached, (redis) => [lookAtWorkers(redis, keys)]),
      ]),
    },
  ];
}

async function findingsOf(group: Group, read: ReadConfiguration): Promise<readonly Finding[]> {
  const wrong = wrongOf(group.needs, read);
  if (wrong.length > 0) return [warn('all', `not looked at, for ${wrong.join(', ')} is wrong`, 'correct that first')];
  try {
    return await group.run();
  } catch (error) {
    return [fail('all', errorMessage(error), 'mend what the lines above tell of, and look again')];
  }
}

/** By their names in the environment. */
function wrongOf(fields: readonly (keyof Config)[], { wrong }: ReadConfiguration): readonly string[] {
  return fields.map((field) => CONFIG_FIELDS[field].name).filter((name) => wrong.has(name));
}

async function runRedis({ read, nowMs, reached: { redis, finding } }: Parts): Promise<readonly Finding[]> {
  if (!redis) return [finding];
  const deps = { redis, keys: createKeys(read.config.queuePrefix), nowMs };
  const findings = [finding, ...(await runLooks(redisLooks(deps)))];
  for (const look of redisLooksInTurn(deps)) findings.push(...(await runLooks([look])));
  return findings;
}

async function runPortals({ read, reached, memberId, signal, echoTimeoutMs }: Parts): Promise<readonly Finding[]> {
  const { config } = read;
  const { redis } = reached;
  if (!redis) return [notReached('all')];
  const logger = createLogger('fatal', 'doctor', process.stderr);
  const keys = createKeys(config.queuePrefix);
  return lookAtPortals({ config, redis, keys, logger, memberId, echoTimeoutMs, signal });
}

function withRedis({ redis }: ReachedRedis, list: (redis: Redis) => readonly Look[]): readonly Look[] {
  return redis ? list(redis) : [{ name: 'all', advice: '', look: async () => notReached('all') }];
}

function looks(list: () => readonly Look[] | Promise<readonly Look[]>): () => Promise<readonly Finding[]> {
  return async () => runLooks(await withTimeLimit(Promise.resolve(list()), LOOK_TIMEOUT_MS, 'the first look at it'));
}
