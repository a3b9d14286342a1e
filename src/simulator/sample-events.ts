import { DEFAULT_CONNECTOR, DEFAULT_LINE } from './portal-state.js';

export interface Sample {
  /** Of the portal's own chat and message. */
  readonly imChatId: number;
  readonly messageId: number;
  /** Of the chat outside. */
  readonly chatId: string;
  readonly connector?: string;
  readonly line?: number;
  readonly text?: string;
  /** Under which the messenger has the message that is changed or deleted. */
  readonly externalIds?: readonly string[];
}

/** The events for which there is a sample. Any other can be sent with data of one's own. */
export const SAMPLE_EVENTS = [
  'ONIMCONNECTORMESSAGEADD',
  'ONIMCONNECTORMESSAGEUPDATE',
  'ONIMCONNECTORMESSAGEDELETE',
  'ONIMCONNECTORDIALOGSTART',
  'ONIMCONNECTORDIALOGFINISH',
  'ONIMCONNECTORSTATUSDELETE',
  'ONIMCONNECTORLINEDELETE',
  'ONCRMDEALUPDATE',
] as const;

/** `data` as the portal has it before it is encoded; undefined where there is no sample of this event. */
export function sampleData(event: string, sample: Sample): unknown {
  const { imChatId, messageId, chatId, connector = DEFAULT_CONNECTOR, line = DEFAULT_LINE } = sample;
  const source = { CONNECTOR: connector, LINE: line };
  const im = { chat_id: imChatId, message_id: messageId };
  const chat = { id: chatId };
  const ids = sample.externalIds ?? [`ext-msg-${messageId}`];
  const text = sample.text ?? `[b]Klaus Weber:[/b] [br]Message #${messageId}`;
  switch (event) {
    case 'ONIMCONNECTORMESSAGEADD':
      return { ...source, MESSAGES: [{ im, message: { user_id: 27, text }, chat }] };
    case 'ONIMCONNECTORMESSAGEUPDATE':
      return { ...source, MESSAGES: [{ im, message: { id: ids, text }, chat }] };
    case 'ONIMCONNECTORMESSAGEDELETE':
      return { ...source, MESSAGES: [{ im, message: { id: ids[0] }, chat }] };
    case 'ONIMCONNECTORDIALOGSTART':
      return { ...source, LINE: String(line), DATA: [dialog(sample, 'N')] };
    case 'ONIMCONNECTORDIALOGFINISH':
      return { ...source, LINE: String(line), DATA: [dialog(sample, 'Y')] };
    case 'ONIMCONNECTORSTATUSDELETE':
      return { connector, line };
    case 'ONIMCONNECTORLINEDELETE':
      return line;
    case 'ONCRMDEALUPDATE':
      return { FIELDS: { ID: messageId } };
    default:
      return undefined;
  }
}

function dialog(
  { imChatId, chatId, connector = DEFAULT_CONNECTOR, line = DEFAULT_LINE }: Sample,
  closed: string,
): unknown {
  return {
    connector: { connector_id: connector, line_id: line, chat_id: chatId, user_id: 0 },
    session: { id: imChatId, closed, parent_id: 0, close_term: 10 },
    chat: { id: chatId },
    user: { id: 0 },
  };
}
