import { findOnPath, runCommand } from './run-command.js';

export interface PackageInstall {
  readonly env: NodeJS.ProcessEnv;
  readonly isRoot: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly say: (line: string) => void;
}

interface Manager {
  readonly program: string;
  /** Tried one after the other until one of them succeeds. */
  readonly installs: readonly (readonly string[])[];
  readonly prepare?: readonly string[];
}

const MANAGERS: readonly Manager[] = [
  {
    program: 'apt-get',
    prepare: ['-qq', 'update'],
    installs: [
      [
        '-qq',
        '-o',
        'DPkg::Lock::Timeout=120',
        'install',
        '-y',
        '--no-upgrade',
        '--no-install-recommends',
        'redis-server',
      ],
    ],
  },
  {
    program: 'apk',
    installs: [
      ['add', '--no-cache', 'redis'],
      ['add', '--no-cache', 'valkey'],
    ],
  },
  {
    program: 'dnf',
    installs: [
      ['install', '-y', '-q', 'redis'],
      ['install', '-y', '-q', 'valkey'],
    ],
  },
];

/**
 * Debian starts a service as soon as its package is there. These keep it from that: `RUNLEVEL` and `PREVLEVEL` make the
 * runlevel "single user", in which nothing is started; `SYSTEMD_OFFLINE` makes `systemctl` leave starting alone.
 */
const NO_SERVICE = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1', PREVLEVEL: 'N', SYSTEMD_OFFLINE: '1' };

const INSTALL_TIMEOUT_MS = 600_000;

/** Installs a Redis where the user may and the system can; false, with the reason said, where that does not work out. */
export async function installRedisPackage(install: PackageInstall): Promise<boolean> {
  const searchPath = install.env.PATH ?? '';
  const found = install.isRoot ? await findManager(searchPath) : undefined;
  if (!found) return false;
  const { manager, file } = found;
  install.say(
    `installing Redis with ${manager.program}, because there is none on the PATH; its own service is not started`,
  );
  const options = { timeoutMs: INSTALL_TIMEOUT_MS, env: { ...install.env, ...NO_SERVICE }, signal: install.signal };
  const hadService = await isServiceEnabled(install);
  if (manager.prepare) await runCommand(file, manager.prepare, options);
  let output = '';
  for (const args of manager.installs) {
    install.signal?.throwIfAborted();
    const result = await runCommand(file, args, options);
    if (result.exitCode === 0) {
      if (!hadService) await keepServiceOff(install);
      return true;
    }
    output = result.output;
  }
  install.say(`${manager.program} could not install it: ${output.split('\n').slice(-3).join(' ')}`);
  return false;
}

async function findManager(searchPath: string): Promise<{ manager: Manager; file: string } | undefined> {
  for (const manager of MANAGERS) {
    const file = await findOnPath(manager.program, searchPath);
    if (file !== undefined) return { manager, file };
  }
  return undefined;
}

/** A service that somebody set up before is left as it is. */
async function isServiceEnabled(install: PackageInstall): Promise<boolean> {
  return (await systemctl(install, 'is-enabled')) === 0;
}

/** The package may have enabled its service for the next boot, for which nobody asked. */
async function keepServiceOff(install: PackageInstall): Promise<void> {
  await systemctl(install, 'disable');
}

async function systemctl({ env }: PackageInstall, verb: string): Promise<number | null> {
  const file = await findOnPath('systemctl', env.PATH ?? '');
  if (file === undefined) return null;
  const { exitCode } = await runCommand(file, [verb, 'redis-server.service'], { timeoutMs: 20_000, env });
  return exitCode;
}
