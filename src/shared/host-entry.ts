/** A host of B24_PORTAL_HOSTS or B24_OAUTH_HOSTS: one that the operator names beside those that are known. */
export interface HostEntry {
  /** In lower case; an IPv6 address in brackets, as in an address. */
  readonly hostname: string;
  /** null for the default port of the scheme. */
  readonly port: number | null;
  /** Plain http: for loopback, and where the operator wrote `http://`. */
  readonly isHttpAllowed: boolean;
}

/** `host`, `host:port`, `http://host`, `http://host:port`; undefined for anything else. */
export function parseHostEntry(text: string): HostEntry | undefined {
  const [, scheme = '', authority = ''] = /^(https?:\/\/)?([^/?#@\s]+)$/i.exec(text) ?? [];
  if (authority === '' || !URL.canParse(`ws://${authority}/`)) return undefined;
  // By a scheme whose default port is that of http, so that every other port stays in sight; 80 is put back below.
  const { hostname, port } = new URL(`ws://${authority}/`);
  const isPort80 = authority.endsWith(':80');
  const isHttpAllowed = scheme.toLowerCase() === 'http://' || isLoopbackName(hostname);
  return { hostname, port: isPort80 ? 80 : port === '' ? null : Number(port), isHttpAllowed };
}

/** Whether a host in an address names this machine itself. */
export function isLoopbackName(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}
