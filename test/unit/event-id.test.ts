import { describe, expect, it } from '@jest/globals';
import type { BitrixEvent, JsonValue } from '../../src/shared/bitrix24/event.js';
import { eventIdOf, pointsOnly } from '../../src/shared/bitrix24/event-id.js';
import { bareAuth } from '../../src/shared/bitrix24/open-auth.js';

const IDENTITY = { memberId: 'm1', name: 'ONX', handlerId: 5, ts: 1773761165, fingerprint: 'f1' };

function otherEvent(payload: JsonValue): BitrixEvent {
  return { kind: 'OTHER', name: 'ONCRMDEALUPDATE', handlerId: 1, ts: 1, auth: bareAuth('m1'), payload };
}

describe('eventIdOf', () => {
  it.each(['content', 'handler-ts'] as const)('is 22 characters and always the same by %s', (dedupBy) => {
    expect(eventIdOf(IDENTITY, dedupBy)).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(eventIdOf({ ...IDENTITY }, dedupBy)).toBe(eventIdOf(IDENTITY, dedupBy));
  });

  it.each([
    { memberId: 'm2' },
    { name: 'ONY' },
    { handlerId: 6 },
    { handlerId: null },
    { ts: 1 },
    { fingerprint: 'f2' },
  ])('differs by content if %j does', (change) => {
    expect(eventIdOf({ ...IDENTITY, ...change }, 'content')).not.toBe(eventIdOf(IDENTITY, 'content'));
  });

  it.each([{ memberId: 'm2' }, { handlerId: 6 }, { handlerId: null }, { ts: 1 }])(
    'differs by handler-ts if %j does',
    (change) => {
      expect(eventIdOf({ ...IDENTITY, ...change }, 'handler-ts')).not.toBe(eventIdOf(IDENTITY, 'handler-ts'));
    },
  );

  it('ignores name and data by handler-ts, and takes the name where there is no handler', () => {
    expect(eventIdOf({ ...IDENTITY, name: 'ONY', fingerprint: 'f2' }, 'handler-ts')).toBe(
      eventIdOf(IDENTITY, 'handler-ts'),
    );
    const nameless = { ...IDENTITY, handlerId: null };
    expect(eventIdOf({ ...nameless, name: 'ONY' }, 'handler-ts')).not.toBe(eventIdOf(nameless, 'handler-ts'));
    expect(eventIdOf({ ...nameless, fingerprint: 'f2' }, 'handler-ts')).toBe(eventIdOf(nameless, 'handler-ts'));
    expect(eventIdOf({ ...nameless, name: '5' }, 'handler-ts')).not.toBe(eventIdOf(IDENTITY, 'handler-ts'));
  });

  it('keeps its parts apart, and the two rules', () => {
    expect(eventIdOf({ ...IDENTITY, memberId: 'm', name: '1ONX' }, 'content')).not.toBe(eventIdOf(IDENTITY, 'content'));
    expect(eventIdOf(IDENTITY, 'content')).not.toBe(eventIdOf(IDENTITY, 'handler-ts'));
  });
});

describe('pointsOnly', () => {
  it.each([{ FIELDS: { ID: '134806' } }, { fields: { id: 5 } }])('is true for %j', (payload) => {
    expect(pointsOnly(otherEvent(payload))).toBe(true);
  });

  it.each([
    [{ FIELDS: { ID: '1', TITLE: 'x' } }],
    [{ FIELDS: { ID: '1' }, MORE: 'x' }],
    [{ FIELDS: { ID: ['1'] } }],
    [{ FIELDS: { TITLE: 'x' } }],
    [{ ID: '1' }],
    [{ FIELDS: '1' }],
    [[]],
    ['1'],
    [null],
  ] as readonly (readonly [JsonValue])[])('is false for %j', (payload) => {
    expect(pointsOnly(otherEvent(payload))).toBe(false);
  });

  it('is false for an event with a schema', () => {
    const event: BitrixEvent = {
      ...otherEvent(null),
      kind: 'ONIMCONNECTORLINEDELETE',
      name: 'ONIMCONNECTORLINEDELETE',
      payload: { line: 1 },
    };
    expect(pointsOnly(event)).toBe(false);
  });
});
