/** The host of a URL at which a server that listens on `host` is reached: one that stands for every address is none to send to. */
export function urlHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
