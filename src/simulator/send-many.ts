import { setTimeout as sleep } from 'node:timers/promises';
import { wasAccepted, type Posted } from './event-poster.js';
import type { EventSender, PreparedEvent, SendOptions } from './event-sender.js';
import { newApplicationToken, type Cloud } from './portal-state.js';
import { seededRandom, type Random } from './seeded-random.js';

/** Shares are from 0 to 1; all chances come from the seed. */
export interface ManyEvents {
  readonly count: number;
  /** Of which each event is one; messages of operators by default. */
  readonly events?: readonly string[];
  /** Events a second on average; as fast as they are answered by default. */
  readonly rate?: number;
  /** How many of them come at once at that rate. */
  readonly burst?: number;
  /** Of events that are posted a second time. */
  readonly duplicates?: number;
  /** Of events that carry the second of the one before, also at a low rate. */
  readonly sameSecondPairs?: number;
  /** Of events behind which nobody stands. */
  readonly withoutTokens?: number;
  /** Forged events beside the true ones, as a share of `count`: with the same content before the true one, or one of their own. */
  readonly forgeries?: number;
  /** Posts again, up to three times, what was not accepted; Bitrix24's documents say that it does not. */
  readonly repeat?: boolean;
  readonly repeatDelayMs?: number;
  readonly seed?: number;
  readonly signal?: AbortSignal;
}

/** How many POSTs are under way at once. */
const PARALLEL = 64;
const REPEATS_MAX = 3;
const REPEAT_DELAY_MS = 1000;

export interface SendManyDeps {
  readonly cloud: Cloud;
  readonly sender: EventSender;
}

/** What was decided for one event before any is sent, so that the same seed sends the same. */
interface Plan {
  readonly event: string;
  readonly isTwice: boolean;
  readonly isSameSecond: boolean;
  readonly isWithoutTokens: boolean;
  readonly forgery: 'none' | 'of this event' | 'of its own';
}

/** Resolves when every POST has ended; how they ended is in the report. */
export async function sendMany(deps: SendManyDeps, many: ManyEvents): Promise<void> {
  const random = seededRandom(many.seed ?? 1);
  const startedAtMs = Date.now();
  const clock = { ts: 0 };
  const isStopped = (): boolean => many.signal?.aborted === true;
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < many.count && !isStopped()) {
      const index = next;
      next += 1;
      const plan = planOf(many, random);
      await untilDue(many, startedAtMs, index);
      if (!isStopped()) await sendPlanned(deps, many, { plan, clock });
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
}

function planOf(many: ManyEvents, random: Random): Plan {
  const { events = ['ONIMCONNECTORMESSAGEADD'], forgeries = 0 } = many;
  const event = events[Math.floor(random() * events.length)] ?? 'ONIMCONNECTORMESSAGEADD';
  const isTwice = random() < (many.duplicates ?? 0);
  const isSameSecond = random() < (many.sameSecondPairs ?? 0);
  const isWithoutTokens = random() < (many.withoutTokens ?? 0);
  const isForged = random() < forgeries;
  const isOfItsOwn = random() < 0.5;
  const forgery = isForged ? (isOfItsOwn ? 'of its own' : 'of this event') : 'none';
  return { event, isTwice, isSameSecond, isWithoutTokens, forgery };
}

/** By the clock of the machine: a rate is a rate, whatever the portal takes the time for. */
async function untilDue({ rate, burst = 1, signal }: ManyEvents, startedAtMs: number, index: number): Promise<void> {
  if (rate === undefined) return;
  const dueAtMs = startedAtMs + (Math.floor(index / burst) * burst * 1000) / rate;
  const waitMs = dueAtMs - Date.now();
  if (waitMs > 0) await sleep(waitMs, undefined, { ...(signal && { signal }) }).catch(() => undefined);
}

async function sendPlanned(
  { cloud, sender }: SendManyDeps,
  many: ManyEvents,
  { plan, clock }: { readonly plan: Plan; readonly clock: { ts: number } },
): Promise<void> {
  if (!plan.isSameSecond || clock.ts === 0) clock.ts = Math.floor(cloud.now() / 1000);
  const options: SendOptions = { ts: clock.ts, withTokens: !plan.isWithoutTokens };
  const prepared = sender.prepare(plan.event, undefined, options);
  const { posts } = cloud.ledger;
  if (plan.isWithoutTokens) posts.withoutTokens += 1;
  sender.expect(prepared);
  if (plan.forgery !== 'none') await forge({ cloud, sender }, plan, { prepared, options });
  if (plan.isTwice) posts.duplicates += 1;
  const [first, second] = await Promise.all([
    postPatiently({ cloud, sender }, many, prepared),
    plan.isTwice ? sender.post(prepared) : undefined,
  ]);
  sender.settle(prepared, second && wasAccepted(second) ? second : first);
}

/** Before the true event, where a careless app would then take the true one for a duplicate. */
async function forge(
  { cloud, sender }: SendManyDeps,
  plan: Plan,
  { prepared, options }: { readonly prepared: PreparedEvent; readonly options: SendOptions },
): Promise<void> {
  const data = plan.forgery === 'of this event' ? prepared.data : undefined;
  const auth = { application_token: newApplicationToken() };
  const forged = sender.prepare(plan.event, data, { ...options, auth });
  if (plan.forgery === 'of its own') sender.expect(forged);
  else cloud.ledger.posts.forgeries += 1;
  await sender.post(forged);
}

async function postPatiently(
  { cloud, sender }: SendManyDeps,
  many: ManyEvents,
  prepared: PreparedEvent,
): Promise<Posted> {
  let posted = await sender.post(prepared);
  for (let repeats = 0; many.repeat === true && repeats < REPEATS_MAX && !wasAccepted(posted); repeats += 1) {
    const signal = many.signal ? { signal: many.signal } : {};
    await sleep(many.repeatDelayMs ?? REPEAT_DELAY_MS, undefined, signal).catch(() => undefined);
    cloud.ledger.posts.repeats += 1;
    posted = await sender.post(prepared);
  }
  return posted;
}
