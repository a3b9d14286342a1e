import { beforeEach, describe, expect, it } from '@jest/globals';
import type { JsonValue } from '../../src/shared/bitrix24/event.js';
import { createHostRules } from '../../src/shared/bitrix24/rest/host-rules.js';
import type { AppInfo } from '../../src/shared/bitrix24/rest/oauth-client.js';
import type { InstallationClaim } from '../../src/worker/installation/installation-claim.js';
import { createProver, type Prover } from '../../src/worker/installation/prover.js';

const signal = new AbortController().signal;
const CLAIM: InstallationClaim = {
  memberId: 'portal',
  applicationToken: 'application',
  accessToken: 'access',
  refreshToken: 'refresh',
  serverEndpoint: 'https://oauth.bitrix.info/rest/',
  receivedAtMs: 1_000_000,
  ts: 1000,
  source: 'event',
};
const VALID: Extract<AppInfo, { kind: 'valid' }> = {
  kind: 'valid',
  clientId: 'ours',
  memberId: 'portal',
  userId: 7,
  domain: 'x.bitrix24.com',
  clientEndpoint: 'https://x.bitrix24.com/rest/',
  isInstalled: true,
  status: 'F',
};

let info: AppInfo;
let profile: JsonValue;
let nowMs: number;
let calls: string[];
let waitMs: number;
let answered: Promise<unknown>;

beforeEach(() => {
  info = VALID;
  profile = { ID: '7', ADMIN: true };
  nowMs = 1_000_000;
  calls = [];
  waitMs = 0;
  answered = Promise.resolve();
});

function prover(): Prover {
  return createProver({
    clientId: 'ours',
    rules: createHostRules({ portalHosts: [], oauthHosts: [] }),
    oauth: {
      appInfo: async (server) => {
        calls.push(server.href);
        await answered;
        return info;
      },
    },
    callAs: async ({ endpoint, method }) => {
      calls.push(`${endpoint.href}${method}`);
      return method === 'profile' ? profile : { LICENSE: 'en_ent250' };
    },
    limits: { take: async () => waitMs },
    now: () => nowMs,
  });
}

describe('a proof', () => {
  it('asks the OAuth server and then the portal at the address that the OAuth server gave', async () => {
    expect(await prover().prove(CLAIM, signal)).toEqual({
      kind: 'proven',
      facts: {
        clientEndpoint: 'https://x.bitrix24.com/rest/',
        serverEndpoint: 'https://oauth.bitrix.info/rest/',
        domain: 'x.bitrix24.com',
        userId: 7,
        isEnterprise: true,
      },
    });
    expect(calls).toEqual([
      'https://oauth.bitrix.info/rest/',
      'https://x.bitrix24.com/rest/profile',
      'https://x.bitrix24.com/rest/app.info',
    ]);
  });

  it.each([
    ['of another app', { clientId: 'theirs' }],
    ['of another portal', { memberId: 'another' }],
    ['of a portal elsewhere', { clientEndpoint: 'https://evil.example/rest/' }],
  ])('is refused to an access token %s, and the portal is not called', async (_name, change) => {
    info = { ...VALID, ...change };
    expect(await prover().prove(CLAIM, signal)).toMatchObject({ kind: 'refused' });
    expect(calls).toHaveLength(1);
  });

  it('is refused to an employee', async () => {
    profile = { ID: '27', ADMIN: false };
    expect(await prover().prove(CLAIM, signal)).toMatchObject({ kind: 'refused' });
  });

  it('is refused without a call where the event names an OAuth server of its own', async () => {
    const forged = { ...CLAIM, serverEndpoint: 'https://oauth.evil.example/rest/' };
    expect(await prover().prove(forged, signal)).toMatchObject({ kind: 'refused' });
    expect(calls).toEqual([]);
  });

  it('waits for an installation that its page has not finished yet, half an hour at the most', async () => {
    info = { ...VALID, isInstalled: false };
    expect(await prover().prove(CLAIM, signal)).toMatchObject({ kind: 'unavailable' });
    nowMs += 1_800_001;
    expect(await prover().prove(CLAIM, signal)).toMatchObject({ kind: 'refused' });
  });

  it('waits for its turn where many are made, and asks nobody meanwhile', async () => {
    waitMs = 700;
    expect(await prover().prove(CLAIM, signal)).toMatchObject({ kind: 'unavailable', retryAfterMs: 700 });
    expect(calls).toEqual([]);
  });

  it('is one of eight at a time, so that an OAuth server that hangs takes no more', async () => {
    let release = (): void => undefined;
    answered = new Promise<void>((resolve) => (release = resolve));
    const one = prover();
    const proofs = Array.from({ length: 9 }, () => one.prove(CLAIM, signal));
    expect(await proofs[8]).toMatchObject({ kind: 'unavailable' });
    release();
    expect((await Promise.all(proofs)).filter(({ kind }) => kind === 'proven')).toHaveLength(8);
  });
});
