import { isMap } from '../is-map.js';
import { z } from 'zod';
import {
  connectorId,
  filledText,
  flag,
  lineNumber,
  listOf,
  record,
  text,
  texts,
  wholeNumber,
  wholeNumberOf,
} from './schema-parts.js';

// Strict where an app cannot act without the field: which connector, line, message and chat. Lenient in all else.

const optionalText = z.exactOptional(text);
const optionalNumber = z.exactOptional(wholeNumber);

const file = z.preprocess(
  withoutOddSizes,
  record({
    name: optionalText,
    type: optionalText,
    mime: optionalText,
    link: optionalText,
    downloadLink: optionalText,
    size: optionalNumber,
    width: optionalNumber,
    height: optionalNumber,
  }),
);

const said = { user_id: optionalNumber, text: optionalText, files: z.exactOptional(listOf(file, { min: 0 })) };

const addressed = {
  im: record({ chat_id: wholeNumber, message_id: wholeNumber }),
  chat: record({ id: filledText }),
};
const spoken = { keepEmpty: 'text', mayBeAbsent: true };

const added = record({ ...addressed, message: record(said, spoken) });
const updated = record({ ...addressed, message: record({ id: texts, ...said }, spoken) });
const deleted = record({ ...addressed, message: record({ id: texts }, spoken) });

const source = { connector: connectorId, line: lineNumber };

export const messageAdd = messagesOf(added);
export const messageUpdate = messagesOf(updated);
export const messageDelete = messagesOf(deleted);

const dialog = record({
  connector: record(
    { connector_id: optionalText, line_id: optionalNumber, chat_id: optionalText, user_id: optionalNumber },
    { mayBeAbsent: true },
  ),
  session: record(
    { id: optionalNumber, closed: z.exactOptional(flag), parent_id: optionalNumber, close_term: optionalNumber },
    { mayBeAbsent: true },
  ),
  chat: record({ id: filledText }),
  user: record({ id: optionalText }, { mayBeAbsent: true }),
});

/** The list is called DATA inside `data`; in the payload its name says what it holds. */
export const dialogChange = record({ ...source, data: listOf(dialog, { min: 1 }) }).transform(({ data, ...rest }) => ({
  ...rest,
  dialogs: data,
}));

export const statusDelete = record(source);

/** A bare number on the wire; some senders wrap it. */
export const lineDelete = z.preprocess((data) => (isMap(data) ? data : { line: data }), record({ line: lineNumber }));

function messagesOf<Message extends z.ZodType>(message: Message) {
  return z.preprocess(withListNamedMessages, record({ ...source, messages: listOf(message, { min: 1 }) }));
}

/** Older portals call the list DATA (https://dev.1c-bitrix.ru/rest_help/imconnector/events/onImconnectormessagedelete.php). */
function withListNamedMessages(value: unknown): unknown {
  if (!isMap(value)) return value;
  const keys = new Map(Object.keys(value).map((key) => [key.toLowerCase(), key]));
  const older = keys.get('data');
  if (older === undefined || keys.has('messages')) return value;
  const { [older]: messages, ...rest } = value;
  return { ...rest, messages };
}

const SIZE_FIELDS = new Set(['size', 'width', 'height']);

/** A preview's width is never worth a message: a size that is no whole number is left out. */
function withoutOddSizes(value: unknown): unknown {
  if (!isMap(value)) return value;
  const odd = new Set(
    Object.keys(value).filter((key) => SIZE_FIELDS.has(key.toLowerCase()) && wholeNumberOf(value[key]) === null),
  );
  if (odd.size === 0) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => !odd.has(key)));
}
