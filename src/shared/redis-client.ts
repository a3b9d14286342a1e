import { Redis as IORedis, type RedisOptions } from 'ioredis';

/** The form of the replies is never changed, and the types of ioredis follow it. */
export type ServerOptions = Omit<RedisOptions, 'replyMapping'>;

/** A client of one server. */
export class RedisClient extends IORedis {
  override readonly duplicate: IORedis['duplicate'];

  constructor(options: ServerOptions) {
    super(options);
    this.duplicate = ((changes: ServerOptions = {}) =>
      new RedisClient({ ...options, ...changes })) as typeof this.duplicate;
  }

  /**
   * A TLS connection that is ended while its certificate is being refused tells two errors, of which ioredis hears the first: the
   * second would end the process.
   */
  override disconnect(reconnect = false): void {
    this.stream?.on('error', () => undefined);
    super.disconnect(reconnect);
  }
}
