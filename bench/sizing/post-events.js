import { Agent, request } from 'undici';

const CONNECTIONS = 64;

/**
 * Posts so many events, each with a message id of its own, over {@link CONNECTIONS} connections, one after the other on each.
 *
 * @returns {Promise<{ seconds: number }>} how long it took until the last answer
 */
export async function postEvents({ url, body, events }) {
  const dispatcher = new Agent({ connections: CONNECTIONS });
  const startedMs = performance.now();
  let sent = 0;
  const post = async () => {
    while (sent < events) {
      sent += 1;
      await postOne({ url, dispatcher, body: withMessageId(body, sent) });
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, post));
  const seconds = (performance.now() - startedMs) / 1000;
  await dispatcher.close();
  return { seconds };
}

async function postOne({ url, dispatcher, body }) {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const response = await request(url, { method: 'POST', headers, body, dispatcher });
  const answer = await response.body.text();
  if (response.statusCode !== 200) throw new Error(`the ingress answers ${response.statusCode}: ${answer}`);
}

function withMessageId(body, id) {
  return body.replace(/(message_id%5D=)\d+/, `$1${id}`);
}
