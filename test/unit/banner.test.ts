import { parse } from 'qs';
import { describe, expect, test } from '@jest/globals';
import { bannerLines, curlCommand, type BannerFacts } from '../../src/cli/start/banner.js';

const FACTS: BannerFacts = {
  apiHost: '0.0.0.0',
  apiPort: 3000,
  eventsPath: '/events/9f3c',
  dataDir: '/data',
  redis: 'redis://127.0.0.1:6379',
  forward: 'a demo receiver',
  handlers: '/app/handlers  (messenger)',
  health: 'ingress http://127.0.0.1:9464, worker http://127.0.0.1:9465',
  demoPortal: { memberId: 'demo', applicationToken: 'made-for-this-run' },
  hasDemoApp: true,
  nowMs: 1_773_759_161_999,
};

function bodyOf(command: string): string {
  return /-d '([^']*)'$/.exec(command)?.[1] ?? '';
}

describe('the command to try', () => {
  test('is one line of the banner, from its first column on', () => {
    const commands = bannerLines(FACTS).filter((line) => line.includes('curl'));

    expect(commands).toEqual([expect.stringMatching(/^curl -sS .*'$/)]);
  });

  test('posts a message of the demo portal, as Bitrix24 encodes it', () => {
    const body = bodyOf(curlCommand({ url: 'http://x/', demoPortal: FACTS.demoPortal, nowMs: FACTS.nowMs }));

    expect(body).not.toMatch(/[[\]\s!$`"\\]/);
    expect(parse(body, { depth: 8 })).toMatchObject({
      event: 'ONIMCONNECTORMESSAGEADD',
      ts: '1773759161',
      data: { CONNECTOR: 'demo_connector', MESSAGES: [{ message: { text: 'Hello from an open channel' } }] },
      auth: { member_id: 'demo', application_token: 'made-for-this-run' },
    });
  });

  test('has a place for portal and token where the user has portals of his own', () => {
    const body = bodyOf(curlCommand({ url: 'http://x/', demoPortal: undefined, nowMs: FACTS.nowMs }));

    expect(parse(body)).toMatchObject({ auth: { member_id: '<member_id>', application_token: '<application_token>' } });
  });

  test.each([
    ['0.0.0.0', 'http://127.0.0.1:3000/events/9f3c'],
    ['::', 'http://[::1]:3000/events/9f3c'],
    ['::1', 'http://[::1]:3000/events/9f3c'],
    ['10.0.0.7', 'http://10.0.0.7:3000/events/9f3c'],
    ['localhost', 'http://localhost:3000/events/9f3c'],
  ])('of an ingress on %s goes to %s', (apiHost, url) => {
    expect(bannerLines({ ...FACTS, apiHost }).join('\n')).toContain(`curl -sS -w '\\n' '${url}' -d`);
  });
});
