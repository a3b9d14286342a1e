import type { Finding, Status } from './finding.js';

/** One line of the report; `id` is what scripts go by. */
export interface Check {
  readonly id: string;
  readonly group: string;
  readonly status: Status;
  readonly found: string;
  readonly advice: string | null;
  readonly member_id?: string;
}

export function checkOf(group: string, { name, status, found, advice, memberId }: Finding): Check {
  const check = { id: `${group}.${name}`, group, status, found, advice: advice ?? null };
  return memberId === undefined ? check : { ...check, member_id: memberId };
}

/** `fail  eviction policy — allkeys-lru; set maxmemory-policy to noeviction` */
export function lineOf({ id, group, status, found, advice, member_id: memberId }: Check): string {
  const what = id.slice(group.length + 1).replaceAll('-', ' ');
  const of = memberId === undefined ? '' : ` of ${memberId}`;
  const help = advice === null ? '' : `; ${advice}`;
  return `  ${status.padEnd(4)}  ${what}${of} — ${found}${help}`;
}

export function isWell(checks: readonly Check[]): boolean {
  return checks.every(({ status }) => status !== 'fail');
}

export function sumOf(checks: readonly Check[]): string {
  const count = (wanted: Status): number => checks.filter(({ status }) => status === wanted).length;
  return `${count('ok')} ok, ${count('warn')} warn, ${count('fail')} fail`;
}
