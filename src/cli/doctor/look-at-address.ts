import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { errorCode, errorMessage } from '../../shared/caught-error.js';
import { fail, ok, type Finding } from './finding.js';
import { LOOK_TIMEOUT_MS, type Look } from './look.js';

export interface Address {
  /** Of the look. */
  readonly name: string;
  readonly variable: string;
  readonly url: string;
}

/** Whether a connection to it comes about; nothing is sent there. */
export function addressLook(address: Address): Look {
  const advice = `correct ${address.variable}, or start what is to listen there`;
  return { name: address.name, advice, look: () => lookAtAddress(address, advice) };
}

/** Told by host and port alone: the rest of the address may be secret. */
async function lookAtAddress({ name, url }: Address, advice: string): Promise<Finding> {
  const { protocol, hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const isTls = protocol === 'https:';
  const target = { host, port: Number(port || (isTls ? 443 : 80)) };
  const place = `${target.host}:${target.port}`;
  try {
    await lookup(target.host);
    await connectOnce(target, isTls);
    return ok(name, `${place} takes connections`);
  } catch (error) {
    return fail(name, `${place}: ${errorCode(error) ?? errorMessage(error)}`, advice);
  }
}

async function connectOnce(target: { readonly host: string; readonly port: number }, isTls: boolean): Promise<void> {
  const socket: Socket = isTls
    ? connectTls({ ...target, ...(isIP(target.host) === 0 && { servername: target.host }) })
    : connectPlain(target);
  try {
    await once(socket, isTls ? 'secureConnect' : 'connect', { signal: AbortSignal.timeout(LOOK_TIMEOUT_MS - 500) });
  } finally {
    socket.on('error', () => undefined).destroy();
  }
}
