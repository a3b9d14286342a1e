import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { findRedisBinary } from '../../dist/cli/redis/process-server.js';
import { waitUntilReady } from '../../dist/cli/redis/redis-probe.js';

const PAGE_BYTES = 4096;

/** One of the product's processes, ready. */
export async function startSizedProcess(file, env) {
  const child = fork(file, { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [message] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`${file} ended with ${code}`);
    }),
  ]);
  if (message.type !== 'ready') throw new Error(`${file} says something else than ready`);
  return { residentBytes: () => residentBytes(child.pid), stop: () => stop(child) };
}

/** As the compose file starts it, but for `maxmemory`. */
export async function startSizedRedis(dir, port) {
  const binary = await findRedisBinary(process.env.PATH ?? '');
  if (binary === undefined) throw new Error('there is no redis-server or valkey-server on the PATH');
  await mkdir(dir, { recursive: true });
  const options = [
    '--port',
    port,
    '--dir',
    dir,
    '--appendonly',
    'yes',
    '--maxmemory-policy',
    'noeviction',
    '--save',
    '',
  ];
  const child = spawn(binary, options.map(String), { stdio: 'ignore' });
  await waitUntilReady({ port, failure: () => (child.exitCode === null ? undefined : 'the Redis ended') });
  return { url: `redis://127.0.0.1:${port}`, stop: () => stop(child) };
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html */
async function residentBytes(pid) {
  const [, pages] = (await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ');
  return Number(pages) * PAGE_BYTES;
}
