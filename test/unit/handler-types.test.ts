import { describe, expect, it } from '@jest/globals';
import type { BitrixEvent, KnownEvent, OtherEvent } from '../../src/shared/bitrix24/event.js';
import { defineHandler, isCallError, later, never, type EventOf } from '../../src/worker/handlers/define-handler.js';

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;

/** Compiles only where the two types are one. */
function areSame<A, B>(isSame: Same<A, B>): boolean {
  return isSame;
}

describe('the type of an event', () => {
  it('follows from the names that a handler gives', () => {
    expect(areSame<EventOf<'ONAPPINSTALL'>, KnownEvent<'ONAPPINSTALL'>>(true)).toBe(true);
    expect(
      areSame<
        EventOf<'ONAPPINSTALL' | 'ONIMCONNECTORLINEDELETE'>,
        KnownEvent<'ONAPPINSTALL'> | KnownEvent<'ONIMCONNECTORLINEDELETE'>
      >(true),
    ).toBe(true);
    expect(areSame<EventOf<'ONCRMDEALUPDATE'>, OtherEvent>(true)).toBe(true);
    expect(areSame<EventOf<'*'>, BitrixEvent>(true)).toBe(true);
    expect(areSame<EventOf<string>, BitrixEvent>(true)).toBe(true);
    expect(areSame<EventOf<'INCOMING.*'>, OtherEvent>(true)).toBe(true);
    expect(areSame<EventOf<'ONAPPI*'>, KnownEvent<'ONAPPINSTALL'> | OtherEvent>(true)).toBe(true);
  });

  it('is known to the code of a handler', () => {
    const handler = defineHandler({
      name: 'typed',
      events: ['ONIMCONNECTORMESSAGEADD', 'ONAPPINSTALL'],
      async run(event, ctx) {
        // @ts-expect-error an installation has no messages
        void event.payload.messages;
        if (event.name === 'ONAPPINSTALL') return;
        const text: string | undefined = event.payload.messages[0]?.message.text;
        const count: number = await ctx.once('count', () => 1);
        // @ts-expect-error a date is not what JSON can say
        await ctx.once('date', () => new Date());
        // @ts-expect-error a function is no parameter of a call
        await ctx.b24.call('profile', { text, count, fn: () => 1 });
      },
    });
    expect(handler.events).toEqual(['ONIMCONNECTORMESSAGEADD', 'ONAPPINSTALL']);
  });
});

describe('later and never', () => {
  it('make errors that say what they are', () => {
    expect(later('full', { afterMs: 5 })).toMatchObject({ handlerVerdict: 'later', message: 'full', afterMs: 5 });
    expect(never('gone')).toMatchObject({ handlerVerdict: 'never', message: 'gone' });
    expect(isCallError(never('gone'))).toBe(false);
  });
});
