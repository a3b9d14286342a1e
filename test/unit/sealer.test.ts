import { describe, expect, it } from '@jest/globals';
import { createSealer } from '../../src/shared/sealer.js';
import { toSecretKey } from '../../src/shared/secret-keys.js';

const first = toSecretKey(Buffer.alloc(32, 1));
const second = toSecretKey(Buffer.alloc(32, 2));
const keys = { current: first, previous: [] };

describe('createSealer', () => {
  it('opens what another process sealed with the same key', () => {
    const seal = createSealer(keys).seal('the token', 'delivery 1');
    expect(createSealer(keys).open(seal, 'delivery 1')).toEqual({ status: 'opened', plain: 'the token' });
  });

  it('does not open a seal that was moved to another record', () => {
    const seal = createSealer(keys).seal('the token', 'delivery 1');
    expect(createSealer(keys).open(seal, 'delivery 2')).toEqual({ status: 'broken' });
  });

  it('does not open a seal of which any part was altered', () => {
    const sealer = createSealer(keys);
    const parts = sealer.seal('the token', 'delivery 1').split('.');
    for (const changed of [2, 3, 4]) {
      const altered = parts.with(changed, flipFirstCharacter(parts[changed] ?? '')).join('.');
      expect(sealer.open(altered, 'delivery 1')).toEqual({ status: 'broken' });
    }
  });

  it.each(['', 'nonsense', 's1.a.b.c.d.e', 's2.a.b.c.d'])('calls %j broken', (seal) => {
    expect(createSealer(keys).open(seal, 'x').status).toBe('broken');
  });

  it('names the key that it lacks, so that the seal can wait for it', () => {
    const seal = createSealer(keys).seal('the token', 'x');
    expect(createSealer({ current: second, previous: [] }).open(seal, 'x')).toEqual({
      status: 'key-unknown',
      keyId: first.id,
    });
  });

  it('opens with a previous key and seals with the current one', () => {
    const old = createSealer(keys).seal('the token', 'x');
    const rolled = createSealer({ current: second, previous: [first] });
    expect(rolled.open(old, 'x')).toEqual({ status: 'opened', plain: 'the token' });
    expect(rolled.seal('new', 'x').split('.')[1]).toBe(second.id);
  });

  it('never uses a nonce twice under one subkey', () => {
    const sealer = createSealer(keys);
    const nonces = Array.from({ length: 1000 }, () => sealer.seal('a', 'x').split('.').slice(2, 4).join('.'));
    expect(new Set(nonces).size).toBe(1000);
  });

  it('seals with another subkey in every process', () => {
    expect(createSealer(keys).seal('a', 'x').split('.')[2]).not.toBe(createSealer(keys).seal('a', 'x').split('.')[2]);
  });
});

function flipFirstCharacter(text: string): string {
  return (text.startsWith('A') ? 'B' : 'A') + text.slice(1);
}
