import { describe, expect, it } from '@jest/globals';
import type { KnownEventName } from '../../src/shared/bitrix24/event.js';
import { parsePayload } from '../../src/shared/bitrix24/payload-schemas.js';

const MESSAGE = { im: { chat_id: '1807', message_id: '86497' }, message: { text: 'hi' }, chat: { id: 'channel-123' } };
const ADDED = { CONNECTOR: 'c', LINE: '107', MESSAGES: [MESSAGE] };

function payloadOf(name: KnownEventName, data: unknown): unknown {
  const result = parsePayload(name, data);
  return result.ok ? result.payload : result;
}

function pathsOf(name: KnownEventName, data: unknown): readonly string[] {
  const result = parsePayload(name, data);
  return result.ok ? [] : result.issues.map((issue) => issue.path);
}

function added(message: object): unknown {
  return payloadOf('ONIMCONNECTORMESSAGEADD', { ...ADDED, MESSAGES: [{ ...MESSAGE, message }] });
}

function addedMessage(message: object): unknown {
  return {
    connector: 'c',
    line: 107,
    messages: [{ im: { chat_id: 1807, message_id: 86497 }, message, chat: { id: 'channel-123' } }],
  };
}

describe('keys and containers', () => {
  it.each([
    { CONNECTOR: 'c', LINE: 7 },
    { connector: 'c', line: '7' },
    { Connector: 'c', Line: '7' },
  ])('takes the known keys in either case', (data) => {
    expect(payloadOf('ONIMCONNECTORSTATUSDELETE', data)).toStrictEqual({ connector: 'c', line: 7 });
  });

  it('prefers the exact spelling where both came, in either order', () => {
    const payload = { connector: 'b', line: 7 };
    expect(payloadOf('ONIMCONNECTORSTATUSDELETE', { CONNECTOR: 'a', connector: 'b', line: 7 })).toStrictEqual(payload);
    expect(payloadOf('ONIMCONNECTORSTATUSDELETE', { connector: 'b', CONNECTOR: 'a', line: 7 })).toStrictEqual(payload);
  });

  it('takes maps with numbers as keys for lists, in the order of the numbers', () => {
    const files = { '3': { name: 'b' }, '1': { NAME: 'a', DOWNLOADLINK: 'l' } };
    expect(
      payloadOf('ONIMCONNECTORMESSAGEUPDATE', {
        ...ADDED,
        MESSAGES: { '5': { ...MESSAGE, MESSAGE: { id: { '2': 'y', '0': 7 }, files }, message: undefined } },
      }),
    ).toEqual(addedMessage({ id: ['7', 'y'], files: [{ name: 'a', downloadLink: 'l' }, { name: 'b' }] }));
  });

  it('keeps unknown fields, in lower case if they are all in capitals', () => {
    const data = { connector: 'c', line: 1, EXTRA_FIELD: { Deep: 1, UP: 2 }, mixedCase: 'x', '': 'e' };
    expect(payloadOf('ONIMCONNECTORSTATUSDELETE', data)).toStrictEqual({
      connector: 'c',
      line: 1,
      extra_field: { Deep: 1, UP: 2 },
      mixedCase: 'x',
      '': 'e',
    });
  });

  it('does not let __PROTO__ become a prototype', () => {
    const payload = payloadOf('ONIMCONNECTORSTATUSDELETE', { connector: 'c', line: 1, __PROTO__: { polluted: 'x' } });
    expect(payload).toStrictEqual({ connector: 'c', line: 1 });
    expect((payload as { polluted?: string }).polluted).toBeUndefined();
  });

  it('wants fields to have names', () => {
    expect(pathsOf('ONIMCONNECTORSTATUSDELETE', { connector: 'c', line: 1, '1000': 'x' })).toStrictEqual(['data']);
  });
});

describe('whole numbers', () => {
  it.each([107, '107', 0, '0', Number.MAX_SAFE_INTEGER, '9007199254740991'])('takes %p for a line', (line) => {
    expect(payloadOf('ONIMCONNECTORSTATUSDELETE', { connector: 'c', line })).toStrictEqual({
      connector: 'c',
      line: Number(line),
    });
  });

  it.each([
    '1e3',
    ' 7',
    '7 ',
    '0x10',
    '007',
    '-0',
    '+1',
    '1.0',
    '',
    'a',
    1.5,
    -1,
    '-1',
    '9007199254740992',
    Infinity,
    null,
    true,
    ['7'],
    {},
  ])('refuses %p for a line', (line) => {
    expect(pathsOf('ONIMCONNECTORSTATUSDELETE', { connector: 'c', line })).toStrictEqual(['data.line']);
  });

  it('takes a negative number where one makes sense', () => {
    expect(payloadOf('ONAPPPAYMENT', { DAYS: '-1' })).toStrictEqual({ days: -1 });
  });
});

describe('messages', () => {
  it.each([
    [{}, {}],
    [{ text: '' }, { text: '' }],
    [{ user_id: '' }, {}],
    [
      { user_id: '0', text: 5 },
      { user_id: 0, text: '5' },
    ],
    [{ user_id: null, text: null, files: null }, {}],
    [{ files: [] }, { files: [] }],
    [{ params: { A: ['x'] } }, { params: { A: ['x'] } }],
    [{ files: [{ size: '1', width: '', height: '4.5', SIZEF: '1 B' }] }, { files: [{ size: 1, sizef: '1 B' }] }],
  ])('takes %j for a message that was added', (message, expected) => {
    expect(added(message)).toStrictEqual(addedMessage(expected));
  });

  it('takes the list of messages under its older name DATA', () => {
    const message = {
      im: { chat_id: '1807', message_id: '86501' },
      message: { id: ['a'] },
      chat: { id: 'channel-123' },
    };
    const result = parsePayload('ONIMCONNECTORMESSAGEDELETE', {
      CONNECTOR: 'myconnector',
      LINE: '107',
      DATA: [message],
    });
    expect(result).toMatchObject({ ok: true, payload: { messages: [{ message: { id: ['a'] } }] } });
  });

  it('takes a message without a body of its own', () => {
    const { message: _, ...rest } = MESSAGE;
    expect(payloadOf('ONIMCONNECTORMESSAGEADD', { ...ADDED, MESSAGES: [rest] })).toStrictEqual(addedMessage({}));
  });

  it.each([
    ['ext', ['ext']],
    [7, ['7']],
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
    ['', []],
    [['', 'a'], ['a']],
    [undefined, []],
    [null, []],
  ])('makes a list of the message id %p', (id, expected) => {
    for (const name of ['ONIMCONNECTORMESSAGEUPDATE', 'ONIMCONNECTORMESSAGEDELETE'] as const)
      expect(payloadOf(name, { ...ADDED, MESSAGES: [{ ...MESSAGE, message: { id } }] })).toStrictEqual(
        addedMessage({ id: expected }),
      );
  });

  it.each([
    [{ ...ADDED, CONNECTOR: '' }, ['data.CONNECTOR']],
    [{ ...ADDED, CONNECTOR: 'x'.repeat(256) }, ['data.CONNECTOR']],
    [{ ...ADDED, CONNECTOR: ['c'] }, ['data.CONNECTOR']],
    [{ CONNECTOR: 'c', LINE: 1 }, ['data.MESSAGES']],
    [{}, ['data.CONNECTOR', 'data.LINE', 'data.MESSAGES']],
    [{ ...ADDED, MESSAGES: [] }, ['data.MESSAGES']],
    [{ ...ADDED, MESSAGES: 'x' }, ['data.MESSAGES']],
    [{ ...ADDED, MESSAGES: { a: MESSAGE } }, ['data.MESSAGES']],
    [{ ...ADDED, MESSAGES: [MESSAGE, 'x'] }, ['data.MESSAGES.1']],
    [{ ...ADDED, MESSAGES: { '4': { ...MESSAGE, chat: {} } } }, ['data.MESSAGES.4.chat.id']],
    [{ ...ADDED, MESSAGES: [{ ...MESSAGE, CHAT: { ID: '' }, chat: undefined }] }, ['data.MESSAGES.0.chat']],
    [{ ...ADDED, MESSAGES: [{ im: MESSAGE.im, CHAT: { ID: '' } }] }, ['data.MESSAGES.0.CHAT.ID']],
    [
      { ...ADDED, MESSAGES: [{ ...MESSAGE, im: { chat_id: 'x' } }] },
      ['data.MESSAGES.0.im.chat_id', 'data.MESSAGES.0.im.message_id'],
    ],
    [{ ...ADDED, MESSAGES: [{ ...MESSAGE, im: undefined }] }, ['data.MESSAGES.0.im']],
    [{ ...ADDED, MESSAGES: [{ ...MESSAGE, message: { text: ['a'] } }] }, ['data.MESSAGES.0.message.text']],
    [{ ...ADDED, MESSAGES: [{ ...MESSAGE, message: { files: 'a' } }] }, ['data.MESSAGES.0.message.files']],
    [undefined, ['data']],
    [['107', { line: '3' }], ['data']],
    ['107', ['data']],
  ])('tells where %j is wrong, in the spelling of the sender', (data, paths) => {
    expect(pathsOf('ONIMCONNECTORMESSAGEADD', data)).toStrictEqual(paths);
  });

  it('quotes no value and no more than 20 issues', () => {
    const bad = { im: { chat_id: 's3cret', message_id: 's3cret' }, chat: { id: ['s3cret'] }, message: 's3cret' };
    const result = parsePayload('ONIMCONNECTORMESSAGEADD', {
      ...ADDED,
      MESSAGES: Array.from({ length: 100 }, () => bad),
    });
    expect(result.ok ? [] : result.issues).toHaveLength(20);
    expect(JSON.stringify(result)).not.toContain('s3cret');
  });
});

describe('the path of an issue', () => {
  it('is cut where the sender made its keys long', () => {
    const numbered = { [`4${'0'.repeat(100)}`]: { ...MESSAGE, im: {} } };
    const cutStep = `4${'0'.repeat(62)}…`;
    expect(pathsOf('ONIMCONNECTORMESSAGEADD', { ...ADDED, MESSAGES: numbered })).toStrictEqual([
      `data.MESSAGES.${cutStep}.im.chat_id`,
      `data.MESSAGES.${cutStep}.im.message_id`,
    ]);
  });
});

describe('dialogs', () => {
  it('keeps ids of the channel as strings and reads closed', () => {
    const dialog = {
      connector: { chat_id: 8 },
      session: { id: '3282', closed: 'Y' },
      chat: { id: 8 },
      user: { id: 0 },
    };
    expect(
      payloadOf('ONIMCONNECTORDIALOGFINISH', { CONNECTOR: 'c', LINE: '105', DATA: { '0': dialog } }),
    ).toStrictEqual({
      connector: 'c',
      line: 105,
      dialogs: [
        { connector: { chat_id: '8' }, session: { id: 3282, closed: true }, chat: { id: '8' }, user: { id: '0' } },
      ],
    });
  });

  it('wants a chat and nothing else of a dialog', () => {
    const data = { CONNECTOR: 'c', LINE: 1, DATA: [{ chat: { id: 'x' } }, {}] };
    expect(pathsOf('ONIMCONNECTORDIALOGSTART', data)).toStrictEqual(['data.DATA.1.chat']);
    expect(pathsOf('ONIMCONNECTORDIALOGSTART', { ...data, DATA: undefined })).toStrictEqual(['data.DATA']);
  });
});

describe('a deleted line', () => {
  it.each([107, '107', { line: 107 }, { LINE: '107' }])('is read from %j', (data) => {
    expect(payloadOf('ONIMCONNECTORLINEDELETE', data)).toStrictEqual({ line: 107 });
  });

  it.each([
    ['x', ['data']],
    [[107], ['data']],
    [['107', { line: '3' }], ['data']],
    [undefined, ['data']],
    [{ line: 'x' }, ['data.line']],
    [{}, ['data.LINE']],
  ])('is not read from %j', (data, paths) => {
    expect(pathsOf('ONIMCONNECTORLINEDELETE', data)).toStrictEqual(paths);
  });
});

describe('the life of the app', () => {
  it.each([
    ['Y', true],
    ['N', false],
    ['1', true],
    [0, false],
    ['true', true],
    [false, false],
    ['y', true],
  ])('reads the flag %p', (flag, expected) => {
    expect(payloadOf('ONAPPUNINSTALL', { CLEAN: flag })).toStrictEqual({ clean: expected });
  });

  it('quarantines a flag that is none, and text that is a map', () => {
    expect(pathsOf('ONAPPUNINSTALL', { CLEAN: 'maybe' })).toStrictEqual(['data.CLEAN']);
    expect(pathsOf('ONAPPINSTALL', { VERSION: { a: '1' } })).toStrictEqual(['data.VERSION']);
  });

  it.each(['ONAPPINSTALL', 'ONAPPUPDATE', 'ONAPPUNINSTALL', 'ONAPPPAYMENT'] as const)(
    'takes %s without data',
    (name) => {
      expect(payloadOf(name, [])).toStrictEqual({});
      expect(payloadOf(name, undefined)).toStrictEqual({});
    },
  );

  it('reads a payment, whatever its status', () => {
    const data = { CODE: 'app', VERSION: 1, STATUS: 'Z', PAYMENT_EXPIRED: 'N', DAYS: 28, LANGUAGE_ID: 'de' };
    expect(payloadOf('ONAPPPAYMENT', data)).toStrictEqual({
      code: 'app',
      version: '1',
      status: 'Z',
      payment_expired: false,
      days: 28,
      language_id: 'de',
    });
  });
});
