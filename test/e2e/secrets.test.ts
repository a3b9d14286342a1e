import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { MEMBER_ID, formBody } from '../support/deliveries.js';
import { everyFileIn } from '../support/file-content.js';
import { System } from '../support/system.js';
import { everythingIn } from '../support/redis-content.js';
import { waitUntil } from '../support/wait-until.js';

/** One secret for every place in which the sender, or one who plays the sender, may put one. */
const SECRETS: Readonly<Record<string, string>> = {
  'auth[access_token]': 'SECRETaccess0001',
  'auth[refresh_token]': 'SECRETrefresh0002',
  'auth[application_token]': 'SECRETapplication0003',
  'auth[some_new_field]': 'SECRETunknown0004',
  'auth[nested][deep]': 'SECRETnested0005',
};
/** `ONAPPMETHODCONFIRM` carries a token in its data, and placements post theirs beside an event. */
const DATA_SECRETS: Readonly<Record<string, string>> = {
  'data[TOKEN]': 'SECRETconfirm0006',
  'data[AUTH_ID]': 'SECRETauthid0007',
  'data[REFRESH_ID]': 'SECRETrefreshid0008',
  'data[FIELDS][application_token]': 'SECRETdeep0009',
  AUTH_ID: 'SECRETtop0010',
  REFRESH_ID: 'SECRETtop0011',
  APPLICATION_TOKEN: 'SECRETtop0012',
};
const TOKEN = 'SECRETapplication0003';

let system: System;

beforeAll(async () => {
  system = await System.start({
    env: { APPLICATION_TOKENS: `${MEMBER_ID}=${TOKEN}`, EFFECT_ATTEMPTS: '2', UNKNOWN_PORTAL_WAIT_SECONDS: '0' },
  });
});
afterAll(() => system.close());

describe('secrets', () => {
  it('that were sent are found nowhere: not in the journal, not in Redis, not in the logs, not in what is forwarded', async () => {
    system.receiver.answer = ({ body }) => ({ status: body.type === 'ONAPPMETHODCONFIRM' ? 500 : 204 });
    const link = `https://some-domain.bitrix24.com/file?auth=${SECRETS['auth[access_token]']}`;
    const bodies = {
      done: formBody('ONIMCONNECTORMESSAGEADD', { ...SECRETS, 'data[MESSAGES][0][message][text]': `see ${link}` }),
      failing: formBody('ONCRMDEALUPDATE', { ...SECRETS, ...DATA_SECRETS, event: 'ONAPPMETHODCONFIRM' }),
      forged: formBody('ONIMCONNECTORSTATUSDELETE', { ...SECRETS, 'auth[application_token]': 'SECRETforged0013' }),
      invalid: formBody('ONIMCONNECTORMESSAGEADD', {
        ...SECRETS,
        'data[LINE]': 'x',
        'data[TOKEN]': 'SECRETinvalid0014',
      }),
      unknown: formBody('ONIMCONNECTORMESSAGEADD', { ...SECRETS, 'auth[member_id]': 'no-portal' }),
    };
    const answers = await Promise.all(Object.values(bodies).map((body) => system.post(body)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    const refused = await system.post(
      formBody('ONIMCONNECTORMESSAGEADD', { ...SECRETS, ts: 'x', 'auth[member_id]': '' }),
    );
    expect(refused.status).toBe(400);

    const redis = new Redis(system.redis.url);
    await waitUntil('the failing effect, the invalid and the unknown have failed', async () => {
      const failed = [await redis.zcard('{b24}:effects:failed'), await redis.zcard('{b24}:deliveries:failed')];
      return failed[0] === 1 && failed[1] === 2 && (await redis.zcard('{b24}:rejected:failed')) === 1;
    });
    await waitUntil('the good one is forwarded', () => system.receiver.received.length >= 3);

    const places = {
      redis: await everythingIn(redis),
      files: await everyFileIn(system.dataDir),
      redisFiles: await everyFileIn(system.redis.dir),
      logs: `${system.api?.output()}${system.worker?.output()}`,
      forwarded: system.receiver.received.map(({ raw, headers }) => raw + JSON.stringify(headers)).join(''),
      answers: JSON.stringify([...answers, refused]),
    };
    redis.disconnect();
    for (const text of Object.values(places)) expect(text.length).toBeGreaterThan(100);
    expect(places.redis).toContain('some-domain.bitrix24.com');
    const found = Object.entries(places).flatMap(([place, text]) =>
      [...text.matchAll(/SECRET[a-z]+\d+/g)].map(([secret]) => `${secret} in ${place}`),
    );
    expect(found).toEqual([]);
  });
});
