import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { decodeForm, decodeJson, type DecodeResult } from '../../src/api/decode-body.js';
import { forwardBody } from '../../src/shared/bitrix24/forward-body.js';
import { type ParsedEnvelope, parseEnvelope } from '../../src/shared/bitrix24/parse-event.js';
import { toBitrixEvent } from '../../src/shared/bitrix24/to-event.js';

const FIXTURES = new URL('../fixtures/', import.meta.url);
const NAMES = readdirSync(FIXTURES)
  .filter((file) => file.endsWith('.form'))
  .map((file) => file.slice(0, -'.form'.length));
const BOUNDS = { depthMax: 16, parametersMax: 10_000 };
const DECODERS = { form: decodeForm, json: decodeJson };

function fixture(file: string): Buffer {
  return readFileSync(new URL(file, FIXTURES));
}

function envelopeOf(decoded: DecodeResult): ParsedEnvelope {
  const result = parseEnvelope(decoded.ok ? decoded.value : undefined);
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.envelope;
}

function envelopeIn(name: string, kind: keyof typeof DECODERS): ParsedEnvelope {
  return envelopeOf(DECODERS[kind](fixture(`${name}.${kind}`), BOUNDS));
}

function forwarded(envelope: ParsedEnvelope): unknown {
  const result = toBitrixEvent(envelope);
  return result.ok ? JSON.parse(forwardBody(result.event)) : result;
}

describe.each(NAMES)('the fixture %s', (name) => {
  it.each(['form', 'json'] as const)('is forwarded to the letter from its %s', (kind) => {
    expect(forwarded(envelopeIn(name, kind))).toStrictEqual(JSON.parse(fixture(`forwarded/${name}.json`).toString()));
  });

  it('has one fingerprint, one payload and the same secrets in both encodings', () => {
    const { secrets, fingerprint, body } = envelopeIn(name, 'form');
    expect(envelopeIn(name, 'json')).toMatchObject({ secrets, fingerprint, body });
  });

  it('survives the trip through the journal', () => {
    const envelope = envelopeIn(name, 'form');
    expect(JSON.parse(JSON.stringify(envelope))).toStrictEqual(envelope);
  });

  it('leaves nothing secret outside its secrets', () => {
    const { secrets, ...open } = envelopeIn(name, 'form');
    const values = Object.values(secrets.auth).map(String);
    expect(values).toContain('831c76b092f9f135d9b6b36c3a720757');
    for (const value of values) expect(JSON.stringify(open)).not.toContain(value);
  });
});

describe('forwardBody', () => {
  it('tells the time to the millisecond, up to the last ten-digit second', () => {
    const envelope = { ...envelopeIn('ONCRMDEALUPDATE', 'form'), ts: 9_999_999_999 };
    expect(forwarded(envelope)).toMatchObject({ timestamp: '2286-11-20T17:46:39.000Z' });
  });

  it('has null where the portal tells nothing', () => {
    const body = { event: 'ONX', ts: '0', auth: { member_id: 'm', application_token: 't' } };
    expect(forwarded(envelopeOf({ ok: true, value: body }))).toStrictEqual({
      type: 'ONX',
      timestamp: '1970-01-01T00:00:00.000Z',
      data: { member_id: 'm', domain: null, event_handler_id: null, user_id: null, payload: [] },
    });
  });
});
