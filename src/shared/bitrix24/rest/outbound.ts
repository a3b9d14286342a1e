import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import { DEFAULT_PORTS, type HostRules } from './host-rules.js';

/**
 * The way out to portals and OAuth servers. The name of a host says little: whoever owns the name decides to which address it
 * leads. So an address that is not of the public network gets no connection, unless the operator listed its host, and what was
 * checked is what is connected to: there is no second look-up in between.
 *
 * Redirects are not followed here; see `rest-client.ts` for the one that is.
 */
export interface OutboundOptions {
  /** For tests; the system's by default. */
  readonly lookup?: LookupFunction;
  readonly connectTimeoutMs?: number;
}

/** The `code` of the error with which a connection is refused. */
export const HOST_REFUSED = 'B24_HOST_REFUSED';

const CONNECT_TIMEOUT_MS = 10_000;
const CONNECTIONS_PER_HOST_MAX = 64;
/** RFC 4291, section 2.4: beside this block there is no public IPv6 address, whatever else no list calls special. */
const PUBLIC_IPV6 = ipaddr.parseCIDR('2000::/3');

class HostRefusedError extends Error {
  readonly code = HOST_REFUSED;

  constructor(hostname: string) {
    super(`${hostname} has no address in the public network`);
  }
}

export function createOutbound(rules: Pick<HostRules, 'isPrivateAllowed'>, options: OutboundOptions = {}): Dispatcher {
  const timeout = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
  const lookup = options.lookup ?? systemLookup;
  const toListed = buildConnector({ timeout, lookup });
  const toPublic = buildConnector({ timeout, lookup: publicLookup(lookup) });
  return new Agent({
    connections: CONNECTIONS_PER_HOST_MAX,
    connect(target, callback) {
      const { hostname } = target;
      const port = Number(target.port) || DEFAULT_PORTS[target.protocol] || 0;
      const version = isIP(hostname);
      if (rules.isPrivateAllowed(version === 6 ? `[${hostname}]` : hostname, port)) toListed(target, callback);
      // An address in place of a name is never looked up.
      else if (version === 0 || isPublicAddress(hostname)) toPublic(target, callback);
      else queueMicrotask(() => callback(new HostRefusedError(hostname), null));
    },
  });
}

/** Whether an address belongs to the public network; IPv4 addresses within IPv6 ones do not. */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.parse(text);
  if (address.range() !== 'unicast') return false;
  return address.kind() === 'ipv4' || address.match(PUBLIC_IPV6);
}

function publicLookup(lookup: LookupFunction): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, '');
      const addresses = toList(found).filter(({ address }) => isPublicAddress(address));
      const [first] = addresses;
      if (!first) return callback(new HostRefusedError(hostname), '');
      if (options.all) return callback(null, addresses);
      return callback(null, first.address, first.family);
    });
  };
}

/** A look-up that was asked for all of them may still answer one alone. */
function toList(found: string | LookupAddress[]): LookupAddress[] {
  return typeof found === 'string' ? [{ address: found, family: isIP(found) }] : found;
}
