import type { Readable } from 'node:stream';

/** Tells each line of a text; of one that is longer only its beginning, so that no output can fill the memory. */
export function readLines(stream: Readable, lengthMax: number, onLine: (line: string) => void): void {
  let line = '';
  const add = (text: string): void => {
    if (line.length < lengthMax) line += text.slice(0, lengthMax - line.length);
  };
  const finish = (): void => {
    if (line.trim() !== '') onLine(line.trimEnd());
    line = '';
  };
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const [first = '', ...rest] = chunk.split('\n');
    add(first);
    for (const part of rest) {
      finish();
      add(part);
    }
  });
  stream.on('end', finish);
  stream.on('error', () => undefined);
}
