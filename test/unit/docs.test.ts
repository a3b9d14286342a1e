import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { CONFIG_FIELDS } from '../../src/shared/config-fields.js';
import { HTTP_ERRORS, JOB_ERRORS } from '../../src/shared/errors.js';

/** The cells of every row of the tables below a heading. */
function rowsBelow(path: string, heading: string): readonly (readonly string[])[] {
  const section = readFileSync(path, 'utf8').split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

function codesIn(cell: string | undefined): string[] {
  return [...(cell ?? '').matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? '');
}

describe('docs/failures.md', () => {
  it('explains every answer, with its status, and no other', () => {
    const told = rowsBelow('docs/failures.md', 'Answers').map(([code, status]) => [codesIn(code)[0], Number(status)]);
    expect(told).toEqual(Object.entries(HTTP_ERRORS).map(([code, { status }]) => [code, status]));
  });

  it('explains every code of a job, with its verdict, and no other', () => {
    const told = rowsBelow('docs/failures.md', 'Codes of jobs').map(([code, verdict]) => [codesIn(code)[0], verdict]);
    expect(told).toEqual(Object.entries(JOB_ERRORS).map(([code, { verdict }]) => [code, verdict]));
  });
});

describe('README.md', () => {
  it('names every variable, with its default, and no other', () => {
    const told = rowsBelow('README.md', 'Variables').flatMap(([names, defaults]) => {
      const values = codesIn(defaults);
      return codesIn(names).map((name, i) => [
        name,
        /^(none|all|made once)/.test(defaults ?? '') ? undefined : values[i],
      ]);
    });
    const fields = Object.values(CONFIG_FIELDS).map(({ name, fallback }) => [name, asTold(fallback)]);
    const byName = (a: unknown[], b: unknown[]): number => String(a[0]).localeCompare(String(b[0]));
    expect(told.toSorted(byName)).toEqual(fields.toSorted(byName));
  });
});

function asTold(fallback: unknown): string | undefined {
  return typeof fallback === 'string' || typeof fallback === 'number' ? String(fallback) : undefined;
}
