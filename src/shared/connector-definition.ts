import { z } from 'zod';

/**
 * A connector that the app adds to a portal's open channels, by `imconnector.register`
 * (https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/imconnector-register.html). Configured by B24_CONNECTORS.
 */
export interface ConnectorDefinition {
  /** Lower case letters, digits and underscores; the same in every event of the connector. */
  readonly id: string;
  /** As people read it in the contact centre. */
  readonly name: string;
  /** An SVG as a data address; a plain bubble where it is left out. */
  readonly icon?: string;
  /** `#RRGGBB`, behind the icon. */
  readonly color?: string;
}

export const CONNECTORS_WANTED =
  'a JSON list such as [{"id":"my_messenger","name":"My messenger"}], with icon (data:image/svg+xml…) and color (#RRGGBB) where wanted';

const definition = z.strictObject({
  id: z.string().regex(/^[a-z0-9_]{1,50}$/),
  name: z.string().min(1).max(100),
  icon: z.exactOptional(z.string().startsWith('data:image/svg+xml').max(65_536)),
  color: z.exactOptional(z.string().regex(/^#[0-9a-fA-F]{6}$/)),
});

/** undefined for what is no such list. */
export function parseConnectors(text: string): readonly ConnectorDefinition[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const result = z.array(definition).max(50).safeParse(value);
  return result.success ? result.data : undefined;
}
