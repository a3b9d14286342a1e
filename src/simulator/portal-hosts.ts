import type { Express } from 'express';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { listenForApp, type HttpListener, type ListenOptions } from './http-listener.js';

/**
 * The hosts of one portal: the one that it has, and the next one, which listens already, so that an app can be told beforehand
 * which hosts to allow. Those it had answer with 302 to the same path on the present one.
 */
export class PortalHosts {
  #app: Express | undefined;
  readonly #hostname: string | undefined;
  readonly #listeners: HttpListener[] = [];
  #current = 0;
  #redirected = 0;

  private constructor(hostname: string | undefined) {
    this.#hostname = hostname;
  }

  static async open({ port, hostname }: ListenOptions = {}): Promise<PortalHosts> {
    const hosts = new PortalHosts(hostname);
    await hosts.#listen(port);
    await hosts.#listen();
    return hosts;
  }

  /** Everything is answered with 503 until then. */
  serve(app: Express): void {
    this.#app = app;
  }

  get host(): string {
    return this.#hostAt(this.#current);
  }

  get nextHost(): string {
    return this.#hostAt(this.#current + 1);
  }

  /** How many requests came to a host that it had before. */
  get redirected(): number {
    return this.#redirected;
  }

  async moveOn(): Promise<void> {
    await this.#listen();
    this.#current += 1;
  }

  async close(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }

  async #listen(port?: number): Promise<void> {
    const index = this.#listeners.length;
    const answer: RequestListener = (request, response) => this.#answer(index, request, response);
    this.#listeners.push(await listenForApp(answer, { port, hostname: this.#hostname }));
  }

  #answer(index: number, request: IncomingMessage, response: ServerResponse): void {
    if (index < this.#current) {
      this.#redirected += 1;
      response.writeHead(302, { location: `http://${this.host}${request.url ?? '/'}` }).end();
    } else if (index === this.#current && this.#app) {
      this.#app(request, response);
    } else {
      response.writeHead(503).end();
    }
  }

  #hostAt(index: number): string {
    return this.#listeners[index]?.host ?? '';
  }
}
