/** What the query of a page's address says of the portal that shows it: DOMAIN, PROTOCOL, LANG and APP_SID. */
export function queryOf({ originalUrl }: { readonly originalUrl: string }): URLSearchParams {
  const start = originalUrl.indexOf('?');
  return new URLSearchParams(start === -1 ? '' : originalUrl.slice(start + 1));
}

const HOST = /^[\p{L}\p{N}][\p{L}\p{N}._-]{0,252}(?::\d{1,5})?$/u;

/**
 * The origin of the portal in whose frame a page stands, in ASCII; undefined where DOMAIN or PROTOCOL is no such thing. Anybody
 * can write anything there: it says who may frame this one answer, and no request is ever sent to it.
 */
export function portalOriginOf(query: URLSearchParams): string | undefined {
  const protocol = PROTOCOLS.get(query.get('PROTOCOL') ?? '');
  // Portals put the usual ports in or leave them out, whatever the protocol.
  const domain = query.get('DOMAIN')?.replace(/:(?:80|443)$/, '') ?? '';
  if (protocol === undefined || !HOST.test(domain)) return undefined;
  const address = `${protocol}://${domain}`;
  return URL.canParse(address) ? new URL(address).origin : undefined;
}

const PROTOCOLS: ReadonlyMap<string, string> = new Map([
  ['0', 'http'],
  ['1', 'https'],
  // Where it is left out.
  ['', 'https'],
]);
