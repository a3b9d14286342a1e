/** A Redis that this program found running on its own files, or started. */
export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** What it is and where its data are, for the person who started it. */
  readonly source: string;
  /** Left running by an earlier start that was killed, and taken over. */
  readonly isReused: boolean;
  /** Resolves when it is gone, for whatever reason, with that reason. */
  readonly ended: Promise<string>;
  /** Ends it, its data on disk; resolves when it is gone. It is killed after `timeoutMs`, which loses nothing either. */
  stop(options?: { readonly timeoutMs?: number }): Promise<void>;
}

export const STOP_TIMEOUT_MS = 30_000;

/** Only this machine reaches it, so it has no password. */
export function loopbackUrl(port: number): string {
  return `redis://127.0.0.1:${port}`;
}

/** What every Redis of ours must be set to: it holds work that was promised, so nothing may be evicted, and all is on disk. */
export const DURABLE_SETTINGS: Readonly<Record<string, string>> = {
  appendonly: 'yes',
  appendfsync: 'everysec',
  'maxmemory-policy': 'noeviction',
  // The append-only file has everything; snapshots beside it would only cost a fork now and then.
  save: '""',
};
