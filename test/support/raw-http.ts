import { EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** What came back on a bare socket. */
export interface RawAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: unknown;
}

/** A sender without manners, for what no HTTP client would do. */
export class RawSender {
  readonly #socket: Socket;
  readonly #news = new EventEmitter();
  #received = '';
  #isEnded = false;
  #isReset = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('latin1');
      this.#news.emit('news');
    });
    const end = (): void => {
      this.#isEnded = true;
      this.#news.emit('news');
    };
    socket
      .on('end', end)
      .on('close', end)
      .on('error', () => {
        this.#isReset = true;
        end();
      });
  }

  static async connect(url: string): Promise<RawSender> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    await once(socket, 'connect');
    return new RawSender(socket);
  }

  /** True where the system took all of it. */
  write(text: string | Buffer): boolean {
    return this.#socket.writable && this.#socket.write(text);
  }

  /** The other side has thrown away what was sent to it, and perhaps what it had sent. */
  get isReset(): boolean {
    return this.#isReset;
  }

  /** The next whole answer. */
  async answer(): Promise<RawAnswer> {
    for (;;) {
      const answer = this.#takeAnswer();
      if (answer) return answer;
      if (this.#isEnded) throw new Error(`the connection was closed without an answer, after: ${this.#received}`);
      await once(this.#news, 'news');
    }
  }

  /** Until the other side has ended the connection. */
  async ended(): Promise<void> {
    while (!this.#isEnded) await once(this.#news, 'news');
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #takeAnswer(): RawAnswer | undefined {
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd === -1) return undefined;
    const head = this.#received.slice(0, headEnd);
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    const text = this.#received.slice(headEnd + 4, headEnd + 4 + length);
    if (text.length < length) return undefined;
    this.#received = this.#received.slice(headEnd + 4 + length);
    const isJson = /^content-type: application\/json/im.test(head);
    return { status: Number(head.split(' ')[1]), head, body: isJson ? (JSON.parse(text) as unknown) : text };
  }
}
