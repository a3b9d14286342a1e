import { randomBytes } from 'node:crypto';
import type { Config } from '../../shared/config.js';

/** Stands in for what the user did not set, so that the first event can be sent at once. Made anew at every start. */
export interface DemoPortal {
  readonly memberId: string;
  readonly applicationToken: string;
}

/** undefined when the user has portals of his own: theirs are the tokens that count then, and they are never printed. */
export function createDemoPortal(config: Pick<Config, 'applicationTokens'>): DemoPortal | undefined {
  if (config.applicationTokens.size > 0) return undefined;
  return { memberId: 'demo', applicationToken: randomBytes(16).toString('hex') };
}

/** A secret as Standard Webhooks writes it: 32 bytes in base64. */
export function createForwardSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

export interface ChildSettings {
  readonly redisUrl: string | undefined;
  readonly demoPortal: DemoPortal | undefined;
  readonly forward: { readonly url: string; readonly secret: string } | undefined;
  /** Of an app that was made for the simulator. */
  readonly app?: Readonly<Record<string, string>> | undefined;
}

/** The environment of the processes: the user's own, and what was made for this run where the user set nothing. */
export function childEnvironment(env: NodeJS.ProcessEnv, settings: ChildSettings): NodeJS.ProcessEnv {
  const { redisUrl, demoPortal, forward, app } = settings;
  const made = {
    ...(redisUrl !== undefined && { REDIS_URL: redisUrl }),
    ...(demoPortal && { APPLICATION_TOKENS: `${demoPortal.memberId}=${demoPortal.applicationToken}` }),
    ...app,
    ...(forward && { FORWARD_URL: forward.url, FORWARD_SECRET: forward.secret }),
  };
  // NAME and NAME_FILE together are a fault, and an empty file counts as unset.
  const cleared = Object.fromEntries(Object.keys(made).map((name) => [`${name}_FILE`, undefined]));
  return { ...env, ...cleared, ...made };
}
