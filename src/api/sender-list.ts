import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { BlockList, isIP } from 'node:net';
import { join } from 'node:path';
import { request } from 'undici';
import { errorMessage } from '../shared/caught-error.js';
import { ConfigError, type Config } from '../shared/config.js';
import type { Logger } from '../shared/logger.js';
import { isNetwork } from '../shared/network.js';

export interface SenderListDeps {
  readonly config: Pick<Config, 'senderIps' | 'dataDir'>;
  readonly logger: Logger;
  /** Answers the parsed JSON at an address; the network by default. */
  readonly fetchList?: (url: string) => Promise<unknown>;
  readonly refreshEveryMs?: number;
}

/** Published by Bitrix24: the servers of the cloud that send, outside of Russia and inside of it. */
const PUBLISHED = ['https://dl.bitrix24.com/webhook/app-world.json', 'https://repos.1c-bitrix.ru/webhook/app.json'];
const REFRESH_EVERY_MS = 600_000;
const FETCH_TIMEOUT_MS = 10_000;
const LIST_BYTES_MAX = 1_048_576;
const KEPT_FILE = 'sender-ips.json';

/**
 * Who may post. Without SENDER_IPS anybody may.
 *
 * For `bitrix24` the published lists are fetched at the start and again every ten minutes. The last good ones are kept in a
 * file, so that a start does not depend on the network; where a later fetch fails, they stay.
 */
export class SenderList {
  readonly #deps: SenderListDeps;
  #allowed: BlockList | undefined;
  #timer: NodeJS.Timeout | undefined;

  private constructor(deps: SenderListDeps) {
    this.#deps = deps;
  }

  /** @throws {ConfigError} where `bitrix24` is listed, and the lists were neither fetched nor kept from before. */
  static async start(deps: SenderListDeps): Promise<SenderList> {
    const list = new SenderList(deps);
    const { senderIps } = deps.config;
    if (senderIps.length === 0) return list;
    if (senderIps.includes('bitrix24')) await list.#startRefreshing();
    else list.#allow([]);
    return list;
  }

  isAllowed(address: string | undefined): boolean {
    if (!this.#allowed) return true;
    // What a proxy wrote into X-Forwarded-For need not be an address.
    const version = isIP(address ?? '');
    if (address === undefined || version === 0) return false;
    return this.#allowed.check(address, version === 6 ? 'ipv6' : 'ipv4');
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #startRefreshing(): Promise<void> {
    if (!(await this.#refresh())) this.#allow(await this.#readKept());
    this.#timer = setInterval(() => void this.#refresh(), this.#deps.refreshEveryMs ?? REFRESH_EVERY_MS);
    this.#timer.unref();
  }

  async #refresh(): Promise<boolean> {
    const { fetchList = fetchJson, logger } = this.#deps;
    try {
      const lists = await Promise.all(PUBLISHED.map(async (url) => addressesIn(await fetchList(url))));
      const addresses = lists.flat();
      this.#allow(addresses);
      await this.#keep(addresses);
      return true;
    } catch (error) {
      logger.warn(
        { event: 'senders.not_refreshed', reason: errorMessage(error) },
        'the published list of senders was not refreshed; the last one stays',
      );
      return false;
    }
  }

  #allow(published: readonly string[]): void {
    const list = new BlockList();
    const own = this.#deps.config.senderIps.filter((sender) => sender !== 'bitrix24');
    for (const sender of [...own, ...published]) addTo(list, sender);
    this.#allowed = list;
  }

  async #keep(addresses: readonly string[]): Promise<void> {
    const { config, logger } = this.#deps;
    const path = join(config.dataDir, KEPT_FILE);
    // Written whole beside its place: other processes write it too.
    const draft = `${path}.${randomUUID()}`;
    try {
      await mkdir(config.dataDir, { recursive: true });
      await writeFile(draft, JSON.stringify({ nodes: addresses }));
      await rename(draft, path);
    } catch (error) {
      logger.warn(
        { event: 'senders.not_kept', reason: errorMessage(error) },
        'the published list of senders could not be kept',
      );
    }
  }

  async #readKept(): Promise<readonly string[]> {
    try {
      return addressesIn(JSON.parse(await readFile(join(this.#deps.config.dataDir, KEPT_FILE), 'utf8')));
    } catch (error) {
      throw new ConfigError([
        `SENDER_IPS: the list that bitrix24 stands for could not be fetched (${PUBLISHED.join(', ')}), and none is kept from before ` +
          `(${errorMessage(error)}); allow these addresses, or list the senders yourself`,
      ]);
    }
  }
}

/** IPv4 addresses may come as `::ffff:1.2.3.4`; a BlockList sees through that. */
function addTo(list: BlockList, sender: string): void {
  const [address = '', prefix] = sender.split('/');
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  if (prefix === undefined) list.addAddress(address, family);
  else list.addSubnet(address, Number(prefix), family);
}

/** An empty or odd list would keep everybody out: it counts as none. */
function addressesIn(list: unknown): readonly string[] {
  const nodes: unknown = typeof list === 'object' && list !== null && 'nodes' in list ? list.nodes : undefined;
  if (!Array.isArray(nodes) || nodes.length === 0) throw new Error('expected {"nodes":[…]} with addresses');
  return nodes.map((node: unknown) => {
    if (typeof node !== 'string' || !isNetwork(node)) throw new Error('expected addresses or networks in nodes');
    return node;
  });
}

/** Follows no redirect, and reads no more than a list may be long. */
async function fetchJson(url: string): Promise<unknown> {
  const { statusCode, body } = await request(url, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > LIST_BYTES_MAX) throw new Error(`the answer of ${url} is longer than ${LIST_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  if (statusCode !== 200) throw new Error(`${url} answered ${statusCode}`);
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}
