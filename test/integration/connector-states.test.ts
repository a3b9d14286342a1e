import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createConnectorStates } from '../../src/shared/connector-states.js';
import { useSharedRedis } from '../support/shared-redis.js';

const shared = useSharedRedis();
const { redis, keys } = shared;
const states = createConnectorStates({ redis, keys });
let portal = '';
let counter = 0;

beforeEach(() => {
  portal = `portal-${(counter += 1)}`;
});
afterAll(() => shared.close());

function isOn(): Promise<boolean> {
  return states.isOn(portal, 'myconnector', 107);
}

describe('the state of a connector', () => {
  it('is on where no event has spoken of it', async () => {
    expect(await isOn()).toBe(true);
  });

  it('goes off by the deletion of its status and on by a later message', async () => {
    await states.note(portal, { connector: 'myconnector', line: 107, state: 'off', ts: 10 });
    expect(await isOn()).toBe(false);
    await states.note(portal, { connector: 'myconnector', line: 107, state: 'on', ts: 11 });
    expect(await isOn()).toBe(true);
  });

  it('follows the newest ts whatever the order of arrival', async () => {
    await states.note(portal, { connector: 'myconnector', line: 107, state: 'off', ts: 11 });
    await states.note(portal, { connector: 'myconnector', line: 107, state: 'on', ts: 10 });
    expect(await isOn()).toBe(false);
  });

  it('is off when one second tells both', async () => {
    await states.note(portal, { connector: 'myconnector', line: 107, state: 'off', ts: 10 });
    await states.note(portal, { connector: 'myconnector', line: 107, state: 'on', ts: 10 });
    expect(await isOn()).toBe(false);
  });

  it('is off on a line that was deleted, also for a message from before that comes later', async () => {
    await states.note(portal, { line: 107, state: 'off', ts: 10 });
    await states.note(portal, { connector: 'myconnector', line: 107, state: 'on', ts: 9 });
    expect(await isOn()).toBe(false);
    expect(await states.isOn(portal, 'myconnector', 108)).toBe(true);
  });

  it('is off on every line after the app was removed, until a later event', async () => {
    await states.note(portal, { connector: 'myconnector', line: 107, state: 'on', ts: 9 });
    await states.note(portal, { state: 'off', ts: 10 });
    expect(await isOn()).toBe(false);
    await states.note(portal, { connector: 'myconnector', line: 107, state: 'on', ts: 11 });
    expect(await isOn()).toBe(true);
  });

  it('is the same for either case of the connector, and apart for every portal', async () => {
    await states.note(portal, { connector: 'MyConnector', line: 107, state: 'off', ts: 10 });
    expect(await isOn()).toBe(false);
    expect(await states.isOn(`${portal}-other`, 'myconnector', 107)).toBe(true);
  });
});
