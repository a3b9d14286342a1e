import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { z } from 'zod';
import { printable } from './readable-log.js';

/** Stands where the user's own program will: takes forwarded events, and shows how to verify them. */
export interface DemoReceiver {
  readonly url: string;
  close(): Promise<void>;
}

export interface DemoReceiverDeps {
  /** `whsec_…` */
  readonly secret: string;
  readonly say: (line: string) => void;
}

const BODY_BYTES_MAX = 16 * 1024 * 1024;

export async function startDemoReceiver({ secret, say }: DemoReceiverDeps): Promise<DemoReceiver> {
  const webhook = new Webhook(secret);
  const server = createServer((request, response) => {
    void answer(request, { webhook, say }).then(
      (status) => end(response, status),
      () => response.destroy(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${port}/events`, close };
}

interface Verification {
  readonly webhook: Webhook;
  readonly say: (line: string) => void;
}

async function answer(request: IncomingMessage, { webhook, say }: Verification): Promise<number> {
  const body = await readBody(request);
  if (body === undefined) return 413;
  try {
    // The signature covers the bytes as they came: verify first, parse after.
    const event = forwardedSchema.safeParse(webhook.verify(body, stringHeaders(request)));
    say(event.success ? describe(event.data) : 'an event with a good signature and an unknown form');
    return 204;
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    say('a request whose signature does not fit; answered 401');
    return 401;
  }
}

const forwardedSchema = z.object({
  type: z.string(),
  data: z.object({ member_id: z.string(), payload: z.unknown() }),
});

const PAYLOAD_CHARACTERS_MAX = 200;

function describe({ type, data }: z.infer<typeof forwardedSchema>): string {
  const payload = JSON.stringify(data.payload) ?? '';
  const shown = payload.length > PAYLOAD_CHARACTERS_MAX ? `${payload.slice(0, PAYLOAD_CHARACTERS_MAX)}…` : payload;
  return printable(`received ${type} of portal ${data.member_id}, signature good: ${shown}`);
}

/** undefined when it is too long. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function stringHeaders(request: IncomingMessage): Record<string, string> {
  const entries = Object.entries(request.headers).map(([name, value]) => [name, String(value)]);
  return Object.fromEntries(entries) as Record<string, string>;
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status);
  response.end();
}
