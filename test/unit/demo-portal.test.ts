import { describe, expect, test } from '@jest/globals';
import { loadConfig } from '../../src/shared/config.js';
import { childEnvironment, createDemoPortal, createForwardSecret } from '../../src/cli/start/demo-portal.js';

describe('the demo portal', () => {
  test('is made where the user has no portal, with another token each time', () => {
    const first = createDemoPortal({ applicationTokens: new Map() });
    const second = createDemoPortal({ applicationTokens: new Map() });

    expect(first).toEqual({ memberId: 'demo', applicationToken: expect.stringMatching(/^[0-9a-f]{32}$/) });
    expect(second?.applicationToken).not.toBe(first?.applicationToken);
  });

  test('is not made beside portals of the user', () => {
    expect(createDemoPortal({ applicationTokens: new Map([['mine', ['token']]]) })).toBeUndefined();
  });
});

describe('the environment of the processes', () => {
  const demoPortal = { memberId: 'demo', applicationToken: 'token' };
  const forward = { url: 'http://127.0.0.1:4000/events', secret: createForwardSecret() };

  test('is a configuration that they accept, with all that was made for this run', () => {
    const config = loadConfig(childEnvironment({}, { redisUrl: 'redis://127.0.0.1:4001', demoPortal, forward }));

    expect(config).toMatchObject({
      redisUrl: 'redis://127.0.0.1:4001',
      applicationTokens: new Map([['demo', ['token']]]),
      forwardUrl: forward.url,
      forwardSecrets: [forward.secret],
    });
  });

  test('is that of the user where he set everything', () => {
    const env = { FORWARD_URL: 'http://there/', OTHER: 'kept' };

    expect(childEnvironment(env, { redisUrl: undefined, demoPortal: undefined, forward: undefined })).toEqual(env);
  });

  test('has no file beside a value that was made: both together are a fault', () => {
    const env = { FORWARD_SECRET_FILE: '/run/secrets/forward' };

    const made = childEnvironment(env, { redisUrl: undefined, demoPortal: undefined, forward });

    expect(made.FORWARD_SECRET_FILE).toBeUndefined();
    expect(made.FORWARD_SECRET).toBe(forward.secret);
  });
});
