import type { JsonValue } from './bitrix24/event.js';
import type { ConnectorDefinition } from './connector-definition.js';

/** A plain bubble: white, for it stands on the connector's colour. */
const BUBBLE =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 70 71"><path fill="#fff" d="M18 16h34a8 8 0 0 1 8 8v20a8 8 0 0 1-8 8H36L23 62V52h-5a8 8 0 0 1-8-8V24a8 8 0 0 1 8-8z"/></svg>';

const COLOR = '#2a5fb0';

/** The ICON that `imconnector.register` requires. */
export function iconOf({ icon, color }: Pick<ConnectorDefinition, 'icon' | 'color'>): { [key: string]: JsonValue } {
  const image = icon ?? `data:image/svg+xml;charset=US-ASCII,${encodeURIComponent(BUBBLE)}`;
  return { DATA_IMAGE: image, COLOR: color ?? COLOR, SIZE: '90%', POSITION: 'center' };
}
