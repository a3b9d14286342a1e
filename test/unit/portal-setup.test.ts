import { describe, expect, it } from '@jest/globals';
import type { JsonValue } from '../../src/shared/bitrix24/event.js';
import type { PortalCalls, RestParams } from '../../src/shared/bitrix24/rest/portal-calls.js';
import { JobError } from '../../src/shared/errors.js';
import { defaultEvents, plannedEvents, setUpPortal, type PortalPlan } from '../../src/shared/portal-setup.js';

const HANDLER_URL = 'https://app.example/events';

const plan: PortalPlan = {
  handlerUrl: HANDLER_URL,
  events: ['ONAPPUPDATE', 'ONCRMDEALADD'],
  connectors: [],
  placementUrl: 'https://app.example/connector',
};

interface Call {
  readonly method: string;
  readonly params: RestParams;
}

/** A portal that answers each method as the test says; an Error is thrown. */
function portal(answers: Readonly<Record<string, (params: RestParams) => JsonValue | Error>>): {
  readonly calls: PortalCalls;
  readonly made: Call[];
} {
  const made: Call[] = [];
  return {
    made,
    calls: {
      async call(method, params = {}) {
        made.push({ method, params });
        const answer = answers[method]?.(params) ?? null;
        if (answer instanceof Error) throw answer;
        return answer;
      },
    },
  };
}

/** A batch in which every command succeeds, but those that are told. */
function batch(errors: Readonly<Record<string, JsonValue>> = {}) {
  return (params: RestParams): JsonValue => {
    const names = commandNames(params);
    const done = names.filter((name) => errors[name] === undefined);
    return {
      result: done.length > 0 ? Object.fromEntries(done.map((name) => [name, true])) : [],
      result_error: Object.keys(errors).length > 0 ? errors : [],
    };
  };
}

function commandNames(params: RestParams): string[] {
  return Object.keys(params['cmd'] ?? {});
}

describe('setUpPortal', () => {
  it('binds in one batch what is missing at this address, and leaves what is bound there', async () => {
    const { calls, made } = portal({
      'event.get': () => [
        { event: 'ONAPPUPDATE', handler: HANDLER_URL, auth_type: '0', offline: 0 },
        { event: 'ONCRMDEALADD', handler: 'https://other.example/events', auth_type: '0', offline: 0 },
      ],
      batch: batch(),
    });
    expect(await setUpPortal(calls, plan)).toEqual({
      bound: ['ONCRMDEALADD'],
      already: ['ONAPPUPDATE'],
      registered: [],
    });
    expect(made.slice(1)).toEqual([
      {
        method: 'batch',
        params: {
          halt: 0,
          cmd: { ONCRMDEALADD: 'event.bind?event=ONCRMDEALADD&handler=https%3A%2F%2Fapp.example%2Fevents' },
        },
      },
    ]);
  });

  it('does not take an offline handler for a binding', async () => {
    const { calls } = portal({
      'event.get': () => [{ event: 'ONAPPUPDATE', handler: HANDLER_URL, offline: 1 }],
      batch: batch(),
    });
    expect((await setUpPortal(calls, plan)).bound).toEqual(plan.events);
  });

  it('calls nothing but event.get where all is bound', async () => {
    const { calls, made } = portal({
      'event.get': () => plan.events.map((event) => ({ event, handler: HANDLER_URL, offline: '0' })),
    });
    expect(await setUpPortal(calls, plan)).toMatchObject({ bound: [], already: plan.events });
    expect(made.map(({ method }) => method)).toEqual(['event.get']);
  });

  it('puts at most fifty calls into a batch', async () => {
    const events = Array.from({ length: 101 }, (_, index) => `ONTEST${index}`);
    const { calls, made } = portal({ 'event.get': () => [], batch: batch() });
    expect((await setUpPortal(calls, { ...plan, events })).bound).toEqual(events);
    const sizes = made.filter(({ method }) => method === 'batch').map(({ params }) => commandNames(params).length);
    expect(sizes).toEqual([50, 50, 1]);
  });

  it('counts what somebody else bound meanwhile as bound', async () => {
    const { calls } = portal({
      'event.get': () => [],
      batch: batch({
        ONAPPUPDATE: {
          error: 'ERROR_CORE',
          error_description: 'Unable to set event handler: Handler already binded',
        },
      }),
    });
    expect(await setUpPortal(calls, plan)).toMatchObject({ bound: ['ONCRMDEALADD'], already: ['ONAPPUPDATE'] });
  });

  it('does all the rest where an event is refused, and then says which', async () => {
    const { calls, made } = portal({
      'event.get': () => [],
      batch: batch({ ONCRMDEALADD: { error: 'ERROR_EVENT_NOT_FOUND', error_description: 'Event not found' } }),
      'imconnector.register': () => ({ result: true }),
    });
    const setup = setUpPortal(calls, { ...plan, connectors: [{ id: 'chat', name: 'Chat' }] });
    await expect(setup).rejects.toMatchObject({
      code: 'REST_REFUSED',
      detail: 'ERROR_EVENT_NOT_FOUND: event.bind of ONCRMDEALADD',
    });
    expect(made.map(({ method }) => method)).toEqual(['event.get', 'batch', 'imconnector.register']);
  });

  it('asks to be done again where a call of the batch met a limit', async () => {
    const { calls } = portal({
      'event.get': () => [],
      batch: batch({
        ONCRMDEALADD: { error: 'ERROR_EVENT_NOT_FOUND' },
        ONAPPUPDATE: { error: 'OPERATION_TIME_LIMIT' },
      }),
    });
    await expect(setUpPortal(calls, plan)).rejects.toMatchObject({
      code: 'REST_UNAVAILABLE',
      detail: 'OPERATION_TIME_LIMIT: event.bind of ONAPPUPDATE',
    });
  });

  it('does not take a call that the answer leaves out for bound, nor repeat what a portal says', async () => {
    const { calls } = portal({
      'event.get': () => [],
      batch: () => ({ result: [], result_error: { ONAPPUPDATE: { error: '<b>no code</b>' } } }),
    });
    await expect(setUpPortal(calls, plan)).rejects.toMatchObject({
      code: 'REST_REFUSED',
      detail: 'an answer without a code: event.bind of ONAPPUPDATE, event.bind of ONCRMDEALADD',
    });
  });

  it('registers connectors with the page to open, and an icon of our own where none is given', async () => {
    const { calls, made } = portal({
      'event.get': () => plan.events.map((event) => ({ event, handler: HANDLER_URL })),
      'imconnector.register': () => ({ result: true }),
    });
    const icon = 'data:image/svg+xml,%3Csvg%2F%3E';
    const connectors = [
      { id: 'plain', name: 'Plain' },
      { id: 'own', name: 'Own', icon, color: '#123456' },
    ];
    expect((await setUpPortal(calls, { ...plan, connectors })).registered).toEqual(['plain', 'own']);
    expect(made.slice(1).map(({ params }) => params)).toEqual([
      {
        ID: 'plain',
        NAME: 'Plain',
        ICON: expect.objectContaining({ DATA_IMAGE: expect.stringMatching(/^data:image\/svg\+xml;.*%3Csvg/) }),
        PLACEMENT_HANDLER: plan.placementUrl,
      },
      expect.objectContaining({ ID: 'own', ICON: expect.objectContaining({ DATA_IMAGE: icon, COLOR: '#123456' }) }),
    ]);
  });

  it('takes a registration that failed with 200 for a refusal, and registers the others', async () => {
    const { calls, made } = portal({
      'event.get': () => plan.events.map((event) => ({ event, handler: HANDLER_URL })),
      'imconnector.register': ({ ID }) =>
        ID === 'bad' ? { result: false, error: 'NAME_EMPTY', error_description: 'x' } : { result: true },
    });
    const connectors = [
      { id: 'bad', name: 'Bad' },
      { id: 'good', name: 'Good' },
    ];
    await expect(setUpPortal(calls, { ...plan, connectors })).rejects.toMatchObject({
      code: 'REST_REFUSED',
      detail: 'NAME_EMPTY: imconnector.register of bad',
    });
    expect(made.slice(1).map(({ params }) => params['ID'])).toEqual(['bad', 'good']);
  });

  it('collects a registration that the portal refuses outright, and passes on what heals', async () => {
    const connectors = [{ id: 'chat', name: 'Chat' }];
    const answering = (error: Error) =>
      portal({
        'event.get': () => plan.events.map((event) => ({ event, handler: HANDLER_URL })),
        'imconnector.register': () => error,
      }).calls;
    const refused = answering(new JobError('REST_REFUSED', 'insufficient_scope'));
    await expect(setUpPortal(refused, { ...plan, connectors })).rejects.toMatchObject({
      code: 'REST_REFUSED',
      detail: 'insufficient_scope: imconnector.register of chat',
    });
    const waiting = new JobError('REST_BUDGET', undefined, { retryAfterMs: 500 });
    await expect(setUpPortal(answering(waiting), { ...plan, connectors })).rejects.toBe(waiting);
  });
});

describe('plannedEvents', () => {
  it('joins the default events, those configured and those that handlers name, each once and in capitals', () => {
    expect(plannedEvents(['OnCrmDealAdd'], ['ONAPPUPDATE', 'ONCRMDEALADD', 'ONCRMLEADADD'])).toEqual([
      ...defaultEvents,
      'ONCRMDEALADD',
      'ONCRMLEADADD',
    ]);
  });

  it('leaves out patterns, messages to /incoming, and an installation that a handler listens to', () => {
    expect(plannedEvents([], ['*', 'ONCRM*', 'INCOMING.MESSAGE', 'ONAPPINSTALL'])).toEqual(defaultEvents);
    expect(plannedEvents(['ONAPPINSTALL'], [])).toContain('ONAPPINSTALL');
  });
});
