import { beforeEach, describe, expect, test } from '@jest/globals';
import { EventLedger, type Confirmation } from '../../src/simulator/event-ledger.js';

const MAX = 10;

let ledger: EventLedger;

beforeEach(() => {
  ledger = new EventLedger(0, MAX);
});

function confirmationOf(messageId: number): Confirmation {
  return { memberId: 'portal', messageId, imChatId: messageId, chatId: `chat-${messageId}`, externalIds: ['ext'] };
}

function expectMessage(messageId: number, isForged = false): void {
  const { externalIds: _none, ...message } = confirmationOf(messageId);
  ledger.expect({ ...message, isForged, sentAtMs: 0 });
}

describe('what is missing', () => {
  test('is a message that was accepted and not answered, and each change of it', () => {
    const seen: number[] = [];
    const see = (): void => void seen.push(ledger.missing.messages);
    expectMessage(1);
    see();
    ledger.accept(1);
    see();
    ledger.accept(1);
    see();
    ledger.confirm(confirmationOf(1));
    see();
    ledger.acceptChange(1);
    see();
    ledger.confirm(confirmationOf(1));
    see();
    ledger.confirm(confirmationOf(1));
    see();

    expect(seen).toEqual([0, 1, 1, 0, 1, 0, 0]);
  });

  test('is nothing where the answer came before the POST was answered, or the message was forged', () => {
    expectMessage(1);
    ledger.confirm(confirmationOf(1));
    ledger.accept(1);
    expectMessage(2, true);
    ledger.accept(2);

    expect(ledger.missing.messages).toBe(0);
  });

  test("is a customer's message that was accepted and is not in the portal", () => {
    ledger.writeIncoming('early');
    ledger.arriveIncoming('early');
    ledger.acceptIncoming('early');
    ledger.writeIncoming('late');
    ledger.acceptIncoming('late');
    const before = ledger.missing.incoming;
    ledger.arriveIncoming('late');
    ledger.arriveIncoming('late');

    expect([before, ledger.missing.incoming]).toEqual([1, 0]);
  });
});

describe('beyond the bound', () => {
  test('the oldest messages are forgotten and counted, and are neither missing nor wrong any more', () => {
    for (let id = 1; id <= MAX + 1; id += 1) {
      expectMessage(id);
      ledger.accept(id);
    }
    ledger.confirm(confirmationOf(1));
    ledger.confirm(confirmationOf(MAX));

    expect([...ledger.messages.keys()]).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(ledger.forgottenMessages).toBe(1);
    expect(ledger.missing.messages).toBe(MAX - 1);
    expect(ledger.wrongConfirmations).toBe(0);
  });

  test('so are those of customers', () => {
    for (let id = 1; id <= MAX + 1; id += 1) {
      ledger.writeIncoming(`msg-${id}`);
      ledger.acceptIncoming(`msg-${id}`);
    }
    ledger.arriveIncoming('msg-1');
    ledger.arriveIncoming('msg-2');

    expect([ledger.incoming.size, ledger.forgottenIncoming, ledger.missing.incoming]).toEqual([MAX, 1, MAX - 1]);
  });
});
