import { Cluster, Command, type ClusterNode, type ClusterOptions } from 'ioredis';
import type { ServerOptions } from './redis-client.js';

export interface ShardOptions extends Omit<ClusterOptions, 'redisOptions'> {
  /** Of the connection to each node. */
  readonly redisOptions: ServerOptions;
}

/**
 * A client of a cluster for one who has all keys in one slot: what names no key (INFO, TIME, WAITAOF) goes to the master that
 * holds them too, so that it can be used like the client of a single server.
 *
 * `shardLost` tells what the closing of its connection tells of a single server: a connection to a node was lost, or another
 * node is the master of our slot. What is read then may be older than what was confirmed before.
 */
export class ShardClient extends Cluster {
  /** BullMQ makes its connection for blocking reads by it. */
  override readonly duplicate: Cluster['duplicate'];
  readonly #slot: number;
  #master: string | undefined;

  constructor(prefix: string, nodes: readonly ClusterNode[], options: ShardOptions) {
    super([...nodes], options);
    this.duplicate = ((_nodes: unknown, changes: Partial<ShardOptions> = {}) =>
      new ShardClient(prefix, nodes, { ...options, ...changes })) as Cluster['duplicate'];
    this.#slot = new Command('get', [prefix]).getSlot();
    this.on('-node', () => this.emit('shardLost'));
    this.on('refresh', () => this.#lookAtMaster());
  }

  override sendCommand(command: Command, ...rest: SendRest): unknown {
    // `cluster` is the client's own question for the state of things, which any node may answer.
    if (command.name !== 'cluster' && command.getSlot() === null) command.getSlot = () => this.#slot;
    return super.sendCommand(command, ...rest);
  }

  #lookAtMaster(): void {
    const master = this.slots[this.#slot]?.[0];
    const before = this.#master;
    this.#master = master;
    if (before !== undefined && before !== master) this.emit('shardLost');
  }
}

type SendRest = Parameters<Cluster['sendCommand']> extends [Command, ...infer Rest] ? Rest : never;
