import { describe, expect, it } from '@jest/globals';
import { CallHabits } from '../../src/shared/bitrix24/rest/call-habits.js';

describe('the places that a run takes in line', () => {
  it('are as many as the runs of its effect make calls, and never fewer than it has made', () => {
    const habits = new CallHabits();
    expect(habits.placesFor('event-1.handler-a', 1)).toBe(1);
    habits.noteCalls('event-1.handler-a', 3);
    expect(habits.placesFor('event-2.handler-a', 1)).toBe(3);
    expect(habits.placesFor('event-2.handler-a', 5)).toBe(5);
    expect(habits.placesFor('event-2.handler-b', 1)).toBe(1);
  });

  it('go back to few after a run that made very many', () => {
    const habits = new CallHabits();
    habits.noteCalls('event-1.handler-a', 60);
    expect(habits.placesFor('event-2.handler-a', 1)).toBe(20);
    for (let run = 0; run < 300; run += 1) habits.noteRun(`event-${run}.handler-a`);
    expect(habits.placesFor('event-2.handler-a', 1)).toBe(1);
  });
});
