import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { JsonValue } from '../../src/shared/bitrix24/event.js';
import type { RestCall } from '../../src/shared/bitrix24/rest/rest-transport.js';
import type { Delivery, Secrets } from '../../src/shared/delivery.js';
import { JobError } from '../../src/shared/errors.js';
import { createPortalStore, emptyPortal } from '../../src/shared/portals.js';
import { createConfirmations } from '../../src/worker/installation/confirmations.js';
import type { InstallationClaim } from '../../src/worker/installation/installation-claim.js';
import { NONCE_FIELD, PortalInstaller, type InstallerDeps } from '../../src/worker/installation/installer.js';
import { PROOFS_PER_PORTAL, createProofLimits } from '../../src/worker/installation/proof-limits.js';
import type { Proof } from '../../src/worker/installation/prover.js';
import { deliveryOf } from '../support/deliveries.js';
import { silentLogger, useSharedRedis } from '../support/shared-redis.js';
import { workerSealer } from '../support/worker-bench.js';

const shared = useSharedRedis();
const portals = createPortalStore({ ...shared, sealer: workerSealer });
const signal = new AbortController().signal;
afterAll(() => shared.close());

const FACTS = {
  clientEndpoint: 'https://x.bitrix24.com/rest/',
  serverEndpoint: 'https://oauth.bitrix.info/rest/',
  domain: 'x.bitrix24.com',
  userId: 7,
  isEnterprise: false,
};

let nowMs: number;
let proof: Proof;
let calls: RestCall[];
let answers: Record<string, () => Promise<JsonValue>>;
let lookedAgain: string[];

beforeEach(() => {
  nowMs = 1_000_000;
  proof = { kind: 'proven', facts: FACTS };
  calls = [];
  answers = { 'event.get': async () => [listener('https://app.example.com/events')] };
  lookedAgain = [];
});

function installerWith(changes: Partial<InstallerDeps> = {}): PortalInstaller {
  const now = (): number => nowMs;
  return new PortalInstaller({
    portals,
    confirmations: createConfirmations({ ...shared, sealer: workerSealer, now, confirmMs: 60_000 }),
    mismatches: { lookAgain: async (memberId) => void lookedAgain.push(memberId) },
    prover: { prove: async () => proof },
    callAs: async (call) => {
      calls.push(call);
      return (await answers[call.method]?.()) ?? null;
    },
    isConfigured: () => false,
    eventsUrl: 'https://app.example.com/events',
    logger: silentLogger,
    now,
    ...changes,
  });
}

function listener(handler: string): JsonValue {
  return { event: 'ONAPPTEST', handler, auth_type: '0', offline: 0 };
}

function claimOf(memberId: string, applicationToken = 'new-token'): InstallationClaim {
  return {
    memberId,
    applicationToken,
    accessToken: 'access',
    refreshToken: 'refresh',
    serverEndpoint: null,
    receivedAtMs: nowMs,
    ts: Math.floor(nowMs / 1000),
    source: 'event',
  };
}

async function knownPortal(memberId: string): Promise<void> {
  await portals.save({ ...emptyPortal(memberId), applicationTokens: [{ token: 'old-token', receivedBeforeMs: null }] });
}

function installDelivery(id: string): Delivery {
  return { ...deliveryOf(workerSealer, 'ONAPPINSTALL'), id };
}

/** What a portal sends after event.test. */
function answerOf(memberId: string, nonce: unknown, token: string): { delivery: Delivery; secrets: Secrets } {
  const delivery = deliveryOf(workerSealer, 'ONCRMDEALUPDATE');
  const payload = { QUERY: { [NONCE_FIELD]: String(nonce) }, LANGUAGE_ID: 'en' };
  return {
    delivery: {
      ...delivery,
      name: 'ONAPPTEST',
      auth: { ...delivery.auth, memberId },
      body: { state: 'open', payload },
    },
    secrets: { auth: { application_token: token }, data: [] },
  };
}

function nonceAsked(): unknown {
  return calls.find(({ method }) => method === 'event.test')?.params[NONCE_FIELD];
}

async function tokensOf(memberId: string): Promise<unknown> {
  return (await portals.find(memberId))?.applicationTokens;
}

describe('an installation of a portal that is not known', () => {
  it('is taken once it is proven, and asks the portal nothing', async () => {
    const settled = await installerWith().settle(installDelivery('a'), claimOf('fresh'), signal);
    expect(settled).toEqual({ kind: 'installed' });
    expect(await portals.find('fresh')).toMatchObject({
      domain: 'x.bitrix24.com',
      oauth: { accessToken: 'access', refreshToken: 'refresh', userId: 7 },
      applicationTokens: [{ token: 'new-token', receivedBeforeMs: null }],
      installedAtMs: nowMs,
    });
    expect(calls).toEqual([]);
    expect(lookedAgain).toEqual(['fresh']);
  });

  it('waits while it cannot be proven, and what came of that portal with it', async () => {
    proof = { kind: 'unavailable', reason: 'down', retryAfterMs: 500 };
    const settled = await installerWith().settle(installDelivery('a'), claimOf('later'), signal);
    expect(settled).toEqual({ kind: 'waits', reason: 'down', untilMs: nowMs + 500 });
    const confirmations = createConfirmations({ ...shared, sealer: workerSealer, now: () => nowMs });
    expect(await confirmations.isUndecided('later')).toBe(true);
    expect(await portals.find('later')).toBeUndefined();
  });

  it('must be confirmed where the environment has tokens of that portal', async () => {
    const installer = installerWith({ isConfigured: () => true });
    expect(await installer.settle(installDelivery('a'), claimOf('configured'), signal)).toMatchObject({
      kind: 'waits',
    });
    expect(await portals.find('configured')).toBeUndefined();
  });
});

describe('a new token of a known portal', () => {
  it('counts when the portal itself sends it, and the old one for what was received before', async () => {
    await knownPortal('confirmed');
    const installer = installerWith();
    expect(await installer.settle(installDelivery('a'), claimOf('confirmed'), signal)).toMatchObject({ kind: 'waits' });
    expect(calls.map(({ method, params }) => [method, params['handler']])).toEqual([
      ['event.bind', 'https://app.example.com/events'],
      ['event.get', undefined],
      ['event.test', undefined],
    ]);
    nowMs += 1000;
    const { delivery, secrets } = answerOf('confirmed', nonceAsked(), 'new-token');
    expect(await installer.takeAnswer(delivery, secrets, signal)).toBe(true);
    expect(await tokensOf('confirmed')).toEqual([
      { token: 'new-token', receivedBeforeMs: null },
      { token: 'old-token', receivedBeforeMs: nowMs },
    ]);
    expect(lookedAgain).toEqual(['confirmed']);
  });

  it('does not count when the portal sends another one, and the installation is refused', async () => {
    await knownPortal('disproved');
    const installer = installerWith();
    await installer.settle(installDelivery('a'), claimOf('disproved'), signal);
    const { delivery, secrets } = answerOf('disproved', nonceAsked(), 'old-token');
    expect(await installer.takeAnswer(delivery, secrets, signal)).toBe(true);
    expect(await tokensOf('disproved')).toEqual([{ token: 'old-token', receivedBeforeMs: null }]);
  });

  it.each([
    ['others would hear the nonce', [listener('https://app.example.com/events'), listener('https://evil.example/')]],
    ['we would not hear it', []],
  ])('is refused where %s, and nobody is asked', async (_name, listeners) => {
    await knownPortal('overheard');
    answers['event.get'] = async () => listeners;
    const settled = await installerWith().settle(installDelivery('a'), claimOf('overheard'), signal);
    expect(settled).toMatchObject({ kind: 'refused', reason: expect.stringContaining('ONAPPTEST') });
    expect(nonceAsked()).toBeUndefined();
  });

  it('does not count where others listened by the time of the answer', async () => {
    await knownPortal('overheard-later');
    const installer = installerWith();
    await installer.settle(installDelivery('a'), claimOf('overheard-later'), signal);
    answers['event.get'] = async () => [listener('https://evil.example/')];
    const { delivery, secrets } = answerOf('overheard-later', nonceAsked(), 'new-token');
    expect(await installer.takeAnswer(delivery, secrets, signal)).toBe(true);
    expect(await tokensOf('overheard-later')).toEqual([{ token: 'old-token', receivedBeforeMs: null }]);
  });

  it('does not count by an answer with another nonce, or one that comes too late', async () => {
    await knownPortal('guessed');
    const installer = installerWith();
    await installer.settle(installDelivery('a'), claimOf('guessed'), signal);
    const guess = answerOf('guessed', 'a-guess', 'new-token');
    expect(await installer.takeAnswer(guess.delivery, guess.secrets, signal)).toBe(false);
    nowMs += 60_000;
    const late = answerOf('guessed', nonceAsked(), 'new-token');
    expect(await installer.takeAnswer(late.delivery, late.secrets, signal)).toBe(false);
    const end = await installer.settle(installDelivery('a'), claimOf('guessed'), signal);
    expect(end).toEqual({ kind: 'refused', reason: 'the portal did not confirm its new token' });
    expect(await tokensOf('guessed')).toEqual([{ token: 'old-token', receivedBeforeMs: null }]);
  });

  it('is asked for by the delivery that claims it alone, while another one waits', async () => {
    await knownPortal('two-claims');
    const installer = installerWith();
    await installer.settle(installDelivery('a'), claimOf('two-claims', 'token-a'), signal);
    const asked = calls.length;
    const other = await installer.settle(installDelivery('b'), claimOf('two-claims', 'token-b'), signal);
    expect(other).toMatchObject({ kind: 'waits' });
    expect(calls.length).toBe(asked);
    await installer.settle(installDelivery('a'), claimOf('two-claims', 'token-a'), signal);
    expect(calls.length).toBeGreaterThan(asked);
  });

  it('is refused at once where no answer can come', async () => {
    await knownPortal('unreachable');
    expect(
      await installerWith({ eventsUrl: undefined }).settle(installDelivery('a'), claimOf('unreachable'), signal),
    ).toMatchObject({ kind: 'refused', reason: expect.stringContaining('PUBLIC_URL') });
    answers['event.test'] = () => Promise.reject(new JobError('REST_REFUSED', 'ACCESS_DENIED'));
    expect(await installerWith().settle(installDelivery('a'), claimOf('unreachable'), signal)).toEqual({
      kind: 'refused',
      reason: 'the portal: ACCESS_DENIED',
    });
  });
});

describe('OAuth tokens of an installation whose application token is known', () => {
  it('are kept after the proof, and the application tokens stay as they are', async () => {
    await knownPortal('renewed');
    await installerWith().storeTokens(claimOf('renewed', 'a-token-of-before'), signal);
    const portal = await portals.find('renewed');
    expect(portal?.oauth).toMatchObject({ accessToken: 'access', generation: nowMs });
    expect(portal?.applicationTokens).toEqual([{ token: 'old-token', receivedBeforeMs: null }]);
  });

  it('are not replaced by those of an earlier installation', async () => {
    await installerWith().storeTokens({ ...claimOf('ordered'), receivedAtMs: 2000 }, signal);
    await installerWith().storeTokens({ ...claimOf('ordered'), accessToken: 'earlier', receivedAtMs: 1000 }, signal);
    expect((await portals.find('ordered'))?.oauth?.accessToken).toBe('access');
  });

  it('are refused with a code of the table', async () => {
    proof = { kind: 'refused', reason: 'not ours' };
    await expect(installerWith().storeTokens(claimOf('refused'), signal)).rejects.toThrow(/^PROOF_REFUSED: .*not ours/);
    proof = { kind: 'unavailable', reason: 'down', retryAfterMs: 700 };
    await expect(installerWith().storeTokens(claimOf('refused'), signal)).rejects.toMatchObject({ retryAfterMs: 700 });
  });
});

describe('two confirmations begun at the same moment', () => {
  it('are one: the first stands, with its nonce', async () => {
    const confirmations = createConfirmations({ ...shared, sealer: workerSealer, now: () => nowMs });
    const begin = (deliveryId: string) => confirmations.begin({ deliveryId, claim: claimOf('raced'), facts: FACTS });
    const [first, second] = await Promise.all([begin('a'), begin('b')]);
    expect(second).toEqual(first);
    expect(await confirmations.find('raced')).toEqual(first);
  });
});

describe('proofs', () => {
  it('are limited for each portal, and one that posts too many does not use up those of others', async () => {
    const limits = createProofLimits(shared);
    for (let proofs = 0; proofs < PROOFS_PER_PORTAL; proofs += 1)
      expect(await limits.take({ memberId: 'busy', source: 'event' })).toBe(0);
    expect(await limits.take({ memberId: 'busy', source: 'event' })).toBeGreaterThan(0);
    expect(await limits.take({ memberId: 'another', source: 'event' })).toBe(0);
    expect(await limits.take({ memberId: 'busy', source: 'page' })).toBe(0);
    expect(await shared.redis.get(shared.keys.proofsInAll)).toBe(String(PROOFS_PER_PORTAL + 2));
  });

  it('that come too many are spread over as many windows as they fill', async () => {
    const limits = createProofLimits({ ...shared, random: () => 0.5 });
    const takes = Array.from({ length: PROOFS_PER_PORTAL * 5 }, () =>
      limits.take({ memberId: 'flood', source: 'page' }),
    );
    const longest = Math.max(...(await Promise.all(takes)));
    expect(longest).toBeGreaterThan(110_000);
  });
});
