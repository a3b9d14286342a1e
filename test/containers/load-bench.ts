import { expect } from '@jest/globals';
import { findFreePort } from '../../src/cli/free-port.js';
import { APPLICATION_TOKEN, MEMBER_ID } from '../support/deliveries.js';
import { RECEIVER_SECRET, startReceiver, type Receiver } from '../support/receiver.js';
import { waitUntil } from '../support/wait-until.js';
import { ComposeProject } from './compose-project.js';
import { SteadyLoad } from './steady-load.js';

const PER_SECOND = 60;

/** The whole system in containers, and a receiver outside of them to which it forwards. */
export interface LoadBench {
  readonly project: ComposeProject;
  readonly receiver: Receiver;
  startLoad(): SteadyLoad;
  /** Ids of messages; the receiver must have been sent each of them. */
  expectForwarded(messageIds: readonly number[]): Promise<void>;
  close(): Promise<void>;
}

export async function startLoadBench(...args: readonly string[]): Promise<LoadBench> {
  const port = await findFreePort();
  const receiver = await startReceiver(port, '0.0.0.0');
  const project = await ComposeProject.create({
    env: {
      APPLICATION_TOKENS: `${MEMBER_ID}=${APPLICATION_TOKEN}`,
      FORWARD_URL: `http://host.docker.internal:${port}/hook`,
      FORWARD_SECRET: RECEIVER_SECRET,
      EFFECT_BACKOFF_MS: '200',
    },
  });
  let next = 1;
  const close = async (): Promise<void> => {
    await project.remove();
    await receiver.close();
  };
  await project.up(...args).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return {
    project,
    receiver,
    startLoad() {
      next += 1_000_000;
      return new SteadyLoad({ url: project.url, perSecond: PER_SECOND, from: next });
    },
    async expectForwarded(messageIds) {
      const isForwarded = (): boolean => missingOf(receiver, messageIds).length === 0;
      await waitUntil('every accepted event is forwarded', isForwarded, { timeoutMs: 120_000 }).catch(() => undefined);
      expect(missingOf(receiver, messageIds)).toEqual([]);
    },
    close,
  };
}

function missingOf(receiver: Receiver, messageIds: readonly number[]): readonly number[] {
  const forwarded = new Set(receiver.received.map(({ body }) => messageIdIn(body.data)));
  return messageIds.filter((id) => !forwarded.has(id));
}

function messageIdIn(data: Readonly<Record<string, unknown>>): number | undefined {
  const payload = data['payload'] as {
    readonly messages?: readonly { readonly im: { readonly message_id: number } }[];
  };
  return payload.messages?.[0]?.im.message_id;
}
