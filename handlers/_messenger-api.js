import { later, never } from 'bitrix24-event-worker';

export const CONNECTOR_ID = process.env.CONNECTOR_ID ?? 'demo_messenger';

/**
 * One call to the messenger, such as `PUT /messages/7`. What it answers says what becomes of the run: 429 and 5xx are tried again,
 * after Retry-After where one came; any other refusal is for a person to look at.
 */
export async function callMessenger(route, body, ctx) {
  const { status, headers, text } = await request(route, body, ctx);
  if (status >= 200 && status < 300) return text === '' ? {} : JSON.parse(text);
  // What is to be deleted is gone.
  if (status === 404 && route.startsWith('DELETE ')) return {};
  const reason = `the messenger answers ${status} to ${route}`;
  if (status === 429 || status >= 500) throw later(reason, retryAfter(headers));
  throw never(reason);
}

async function request(route, body, ctx) {
  const [method, path] = route.split(' ');
  const url = `${messengerUrl(ctx)}${path}`;
  const headers = { 'content-type': 'application/json' };
  try {
    // The signal ends the call together with the run.
    const options = { method, headers, body: JSON.stringify(body), redirect: 'error', signal: ctx.signal };
    const response = await fetch(url, options);
    return { status: response.status, headers: response.headers, text: await response.text() };
  } catch (error) {
    if (ctx.signal.aborted) throw error;
    throw later(`the messenger was not reached: ${error.cause?.code ?? error.message}`);
  }
}

let isMissingTold = false;

function messengerUrl(ctx) {
  const { MESSENGER_URL } = process.env;
  if (MESSENGER_URL) return MESSENGER_URL.replace(/\/+$/, '');
  if (!isMissingTold) ctx.log.error('MESSENGER_URL is not set: no message can be delivered');
  isMissingTold = true;
  throw never('MESSENGER_URL is not set');
}

/** Seconds, or a date. Where neither can be read, the usual pauses hold. */
function retryAfter(headers) {
  const text = headers.get('retry-after') ?? '';
  const afterMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return afterMs >= 0 ? { afterMs } : {};
}
