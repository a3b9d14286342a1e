import type { SharedRedis } from './global-setup.js';

/** Runs after the last test, whether they passed or not. */
export default async function globalTeardown(): Promise<void> {
  const redis: SharedRedis | undefined = globalThis.sharedTestRedis;
  await redis?.stop();
}
