import { defineHandler } from 'bitrix24-event-worker';
import { CONNECTOR_ID, callMessenger } from './_messenger-api.js';
import { plainText } from './_plain-text.js';

/** From Bitrix24 to the messenger: what operators write, edit and delete. */
export default defineHandler({
  name: 'messenger',
  events: [
    'ONIMCONNECTORMESSAGEADD',
    'ONIMCONNECTORMESSAGEUPDATE',
    'ONIMCONNECTORMESSAGEDELETE',
    'ONIMCONNECTORSTATUSDELETE',
    'ONIMCONNECTORLINEDELETE',
  ],

  async run(event, ctx) {
    const { connector, line } = event.payload;
    // Every app is told of every line that is deleted; that event names no connector.
    if (event.name !== 'ONIMCONNECTORLINEDELETE' && connector.toLowerCase() !== CONNECTOR_ID) {
      ctx.log.info('left out: not my connector', { connector });
      return;
    }
    switch (event.name) {
      case 'ONIMCONNECTORMESSAGEADD':
        return forEachMessage(event, ctx, add);
      case 'ONIMCONNECTORMESSAGEUPDATE':
        return forEachMessage(event, ctx, update);
      case 'ONIMCONNECTORMESSAGEDELETE':
        return forEachMessage(event, ctx, remove);
      default:
        return forgetLine(line, ctx);
    }
  },
});

async function forEachMessage({ payload: { connector, line, messages } }, ctx, act) {
  if (!(await ctx.connectors.isOn(connector, line))) {
    ctx.log.info('left out: the connector is off', { line });
    return;
  }
  for (const [n, message] of messages.entries()) await act(message, { n, connector, line }, ctx);
}

async function add({ im, message, chat }, place, ctx) {
  const id = await ctx.once(`deliver-${place.n}`, async () => {
    const sent = { chat: chat.id, text: plainText(message), idempotencyKey: `${ctx.eventId}.${place.n}` };
    return (await callMessenger('POST /messages', sent, ctx)).id;
  });
  await confirm({ im, chat, message: { id: [id] } }, place, ctx);
}

async function update(edited, place, ctx) {
  const text = plainText(edited.message);
  for (const id of edited.message.id) await callMessenger(`PUT /messages/${encodeURIComponent(id)}`, { text }, ctx);
  await confirm(edited, place, ctx);
}

async function remove({ message }, _place, ctx) {
  for (const id of message.id) await callMessenger(`DELETE /messages/${encodeURIComponent(id)}`, undefined, ctx);
}

/** Without this the operator sees the message as not delivered, and Bitrix24 never tells when it is edited or deleted. */
async function confirm({ im, message, chat }, { n, connector, line }, ctx) {
  await ctx.once(`confirm-${n}`, async () => {
    await ctx.b24.call('imconnector.send.status.delivery', {
      CONNECTOR: connector,
      LINE: line,
      MESSAGES: [{ im, message: { id: message.id, date: Math.floor(Date.now() / 1000) }, chat: { id: chat.id } }],
    });
  });
}

/** With the portal, because two of them may have a line of the same number. */
async function forgetLine(line, ctx) {
  await callMessenger(`DELETE /lines/${line}?portal=${encodeURIComponent(ctx.portal.memberId)}`, undefined, ctx);
}
