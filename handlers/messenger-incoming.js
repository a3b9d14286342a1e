import { defineHandler, never } from 'bitrix24-event-worker';
import { CONNECTOR_ID } from './_messenger-api.js';

/** From the messenger to Bitrix24: what customers write, as the messenger posts it to /incoming. */
export default defineHandler({
  name: 'messenger-incoming',
  events: ['INCOMING.MESSAGE'],

  async run(event, ctx) {
    const { connector = CONNECTOR_ID, line, user, message, chat } = event.payload;
    if (!line || !user?.id || !message?.id || !chat?.id) throw never('line, user.id, message.id or chat.id is missing');

    await ctx.once('send', () => send({ connector, line: Number(line), user, message, chat }, ctx), {
      atMostOnce: 'one-call',
    });
  },
});

async function send({ connector, line, user, message, chat }, ctx) {
  const answer = await ctx.b24.call('imconnector.send.messages', {
    CONNECTOR: connector,
    LINE: line,
    MESSAGES: [
      {
        user: { id: String(user.id), name: (user.name ?? '').slice(0, 25) },
        message: { id: String(message.id), date: Number(message.date), text: message.text ?? '' },
        chat: { id: String(chat.id) },
      },
    ],
  });
  // The call itself ends well where the message was refused.
  const refused = answer.DATA?.RESULT?.find((result) => result.SUCCESS === false);
  if (refused) throw never(`Bitrix24 refuses the message: ${JSON.stringify(refused.ERRORS ?? []).slice(0, 200)}`);
}
