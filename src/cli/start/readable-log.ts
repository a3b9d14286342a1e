import pretty from 'pino-pretty';

/** Turns one line of a process into what a person reads, with the name of the process in front. */
export type LineFormat = (childName: string, line: string) => string;

/** Said by the record's other parts already, or of no use on one machine. */
const HIDDEN = new Set(['level', 'time', 'msg', 'name', 'pid', 'hostname', 'event']);

export function createLineFormat(options: { readonly colorize: boolean; readonly nameWidth: number }): LineFormat {
  const format = pretty.prettyFactory({
    colorize: options.colorize,
    translateTime: 'SYS:HH:MM:ss.l',
    hideObject: true,
    ignore: 'pid,hostname,name',
    messageFormat: (log, messageKey) => printable(`${shown(log[messageKey])}${fields(log)}`),
  });
  return (childName, line) => {
    const prefix = `${childName.padEnd(options.nameWidth)} | `;
    const text = isRecord(line) ? format(line).trimEnd() : printable(line);
    return text
      .split('\n')
      .map((part) => prefix + part)
      .join('\n');
  };
}

function isRecord(line: string): boolean {
  if (!line.startsWith('{')) return false;
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

function fields(log: Readonly<Record<string, unknown>>): string {
  return Object.entries(log)
    .filter(([key, value]) => !HIDDEN.has(key) && value !== undefined && value !== null)
    .map(([key, value]) => ` ${key}=${shown(value)}`)
    .join('');
}

function shown(value: unknown): string {
  if (typeof value === 'string') return value;
  if (isError(value)) return `\n${value.stack}`;
  return JSON.stringify(value) ?? '';
}

/** As pino writes it. */
function isError(value: unknown): value is { readonly stack: string } {
  return typeof value === 'object' && value !== null && 'stack' in value && typeof value.stack === 'string';
}

/**
 * JSON keeps control characters harmless; undone for reading, a name that a stranger chose could move the cursor or change
 * the title of the terminal.
 */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return text.replaceAll(/[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/g, '\uFFFD');
}
