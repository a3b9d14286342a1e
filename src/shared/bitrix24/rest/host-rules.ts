import type { HostEntry } from '../../host-entry.js';

/**
 * Which addresses may be called with tokens. An address comes from a payload, from an answer or from a redirect, and none of them
 * is believed: whoever is called gets an access token, and the OAuth server even the secret of the app.
 */
export interface HostRules {
  /** `https://<host>/rest/` of a portal; undefined for whatever is not allowed. */
  portalEndpoint(text: string | null): URL | undefined;
  /** `https://<host>/rest/` of an OAuth server; the default one where none is named. */
  oauthServer(text: string | null): URL | undefined;
  /** Whether it is a host that the operator listed, which may then stand in a private network. */
  isPrivateAllowed(hostname: string, port: number): boolean;
}

export interface HostRulesDeps {
  /** B24_PORTAL_HOSTS: portals on servers of their own. */
  readonly portalHosts: readonly HostEntry[];
  /** B24_OAUTH_HOSTS. */
  readonly oauthHosts: readonly HostEntry[];
}

/** https://apidocs.bitrix24.com/settings/oauth/ and, for the east, https://apidocs.bitrix24.ru/settings/oauth/ */
const OAUTH_HOSTS: readonly HostEntry[] = ['oauth.bitrix.info', 'oauth.bitrix24.tech'].map((hostname) => ({
  hostname,
  port: null,
  isHttpAllowed: false,
}));

const ZONES = 'com|in|eu|de|es|com\\.br|pl|it|fr|cn|jp|vn|com\\.tr|id|ru|ua|by|kz';
/** One label and a zone: what stands deeper (`a.b.bitrix24.com`) is no portal. */
const CLOUD_PORTAL = new RegExp(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.bitrix24\\.(?:${ZONES})$`);
/**
 * All that an address may consist of. What URL would quietly mend or drop (user names, backslashes, white space, letters that
 * only look Latin) does not get as far as URL.
 */
const ENDPOINT = /^https?:\/\/(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?\/rest\/?$/i;
const TEXT_LENGTH_MAX = 300;
/** By the protocol, as URL writes it. */
export const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

export function createHostRules({ portalHosts, oauthHosts }: HostRulesDeps): HostRules {
  const oauthEntries = [...oauthHosts, ...OAUTH_HOSTS];
  return {
    portalEndpoint(text) {
      const url = parseEndpoint(text);
      return url && (isCloudPortal(url) || isListed(url, portalHosts)) ? url : undefined;
    },
    oauthServer(text) {
      if (text === null) return oauthEntries[0] && serverOf(oauthEntries[0]);
      const url = parseEndpoint(text);
      return url && isListed(url, oauthEntries) ? url : undefined;
    },
    isPrivateAllowed: (hostname, port) =>
      [...portalHosts, ...oauthHosts].some((entry) => entry.hostname === hostname && hasPort(entry, port)),
  };
}

function parseEndpoint(text: string | null): URL | undefined {
  if (text === null || text.length > TEXT_LENGTH_MAX || !ENDPOINT.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  url.pathname = '/rest/';
  return url;
}

function isCloudPortal(url: URL): boolean {
  return url.protocol === 'https:' && url.port === '' && CLOUD_PORTAL.test(url.hostname);
}

function isListed(url: URL, entries: readonly HostEntry[]): boolean {
  const port = url.port === '' ? null : Number(url.port);
  return entries.some((entry) => {
    if (entry.hostname !== url.hostname) return false;
    if (url.protocol === 'http:' && !entry.isHttpAllowed) return false;
    return port === (entry.port === DEFAULT_PORTS[url.protocol] ? null : entry.port);
  });
}

function hasPort(entry: HostEntry, port: number): boolean {
  if (entry.port !== null) return entry.port === port;
  return port === 443 || (port === 80 && entry.isHttpAllowed);
}

function serverOf({ hostname, port, isHttpAllowed }: HostEntry): URL {
  return new URL(`${isHttpAllowed ? 'http' : 'https'}://${hostname}${port === null ? '' : `:${port}`}/rest/`);
}
