import { type ParsedEnvelope, parseEnvelope } from '../../src/shared/bitrix24/parse-event.js';

export const APPLICATION_TOKEN = '831c76b092f9f135d9b6b36c3a720757';
export const ACCESS_TOKEN = '5680b91b0000844000785e072978228d24bd2f';

/** In the sender's form, as it comes out of the decoder. */
export const AUTH = {
  access_token: ACCESS_TOKEN,
  expires: '1773764694',
  expires_in: '3600',
  scope: 'imconnector, imopenlines',
  domain: 'some-domain.bitrix24.com',
  server_endpoint: 'https://oauth.bitrix24.tech/rest/',
  status: 'F',
  client_endpoint: 'https://some-domain.bitrix24.com/rest/',
  member_id: 'bac1cd5c8940947a75e0d71b1a84e348',
  user_id: '27',
  application_token: APPLICATION_TOKEN,
};
export const BODY = { event: 'ONX', event_handler_id: '5', data: { a: '1' }, ts: '1773761165', auth: AUTH };

export function envelopeOf(body: unknown): ParsedEnvelope {
  const result = parseEnvelope(body);
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.envelope;
}
