import { randomUUID } from 'node:crypto';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { hostname } from 'node:os';
import { Webhook } from 'standardwebhooks';
import { errorCode } from '../caught-error.js';
import type { AlertName } from './alert-rule.js';

/** Who is told: ALERT_URL, and the secrets that sign; two of them while one is replaced. */
export interface AlertReceiver {
  readonly url: string;
  readonly secrets: readonly string[];
}

/** What is told of an alert: names, figures and times, and nothing of any event. All but `id` is the body. */
export interface AlertNote {
  /** The `webhook-id`, the same at every attempt to send this note. */
  readonly id: string;
  readonly type: 'alert.firing' | 'alert.resolved';
  /** ISO 8601, as `since`. */
  readonly timestamp: string;
  readonly data: {
    readonly alert: AlertName;
    readonly summary: string;
    readonly since: string;
    readonly instance: string;
  };
}

const TIMEOUT_MS = 5000;

/** The name of a process as notes give it: `worker@host-1`. */
export function instanceName(processName: string): string {
  return `${processName}@${hostname()}`;
}

export function createNote(
  type: AlertNote['type'],
  { sinceMs, ...data }: { alert: AlertName; summary: string; sinceMs: number; instance: string },
): AlertNote {
  const since = new Date(sinceMs).toISOString();
  return { id: `alert_${randomUUID()}`, type, timestamp: new Date().toISOString(), data: { ...data, since } };
}

/**
 * One attempt, of five seconds at most, signed as Standard Webhooks says. Redirects are not followed. It takes no client of HTTP but
 * Node's own, so that a small thread can send one too.
 *
 * @throws where the receiver does not answer with a 2xx; the message never holds the address.
 */
export async function sendNote(receiver: AlertReceiver, { id, ...content }: AlertNote): Promise<void> {
  const body = JSON.stringify(content);
  const at = new Date();
  const status = await post(receiver.url, body, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'user-agent': 'b24-events',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': receiver.secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(' '),
  });
  if (status < 200 || status > 299) throw new Error(`the receiver of alerts answered with status ${status}`);
}

function post(url: string, body: string, headers: Readonly<Record<string, string | number>>): Promise<number> {
  const request = url.startsWith('https:') ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const sent = request(url, { method: 'POST', headers, agent: false, signal }, (response) => {
      // What is in the answer does not matter; it is cut off with the time limit.
      response.on('error', () => undefined).resume();
      resolve(response.statusCode ?? 0);
    });
    // The code alone: a message of the network may hold the address.
    sent.on('error', (error) => reject(new Error(`no answer (${errorCode(error) ?? 'unknown'})`)));
    sent.end(body);
  });
}
