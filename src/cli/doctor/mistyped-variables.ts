import { CONFIG_FIELDS } from '../../shared/config-fields.js';

export interface MistypedVariable {
  readonly name: string;
  /** The variable that was meant; undefined where it only begins as ours do. */
  readonly meant: string | undefined;
}

const KNOWN: readonly string[] = Object.values(CONFIG_FIELDS).map(({ name }) => name);
/** With what names of ours begin, and those of few other programs. */
const OURS =
  /^(?:B24|API|EFFECT|FORWARD|DEDUP|DELIVERY|JOURNAL|HANDLERS|INCOMING|SENDER|ALERT|OPS|WORKER_OPS|APPLICATION)_/;
/** What Docker and Kubernetes tell a container of its neighbours: REDIS_PORT_6379_TCP_ADDR, API_SERVICE_HOST. */
const OF_NEIGHBOURS = /_SERVICE_(?:HOST|PORT)(?:_\w+)?$|_PORT(?:_\d+_(?:TCP|UDP)(?:_\w+)?)?$/;
const DISTANCE_MAX = 2;
/** Of shorter names many are near by chance. */
const LENGTH_MIN = 7;

/** Variables that nobody reads, though whoever set them must have thought so. */
export function mistypedVariables(env: NodeJS.ProcessEnv): readonly MistypedVariable[] {
  const set = Object.keys(env).filter((name) => Boolean(env[name]?.trim()));
  return set.flatMap((name) => {
    const bare = name.replace(/_FILE$/, '');
    if (KNOWN.includes(bare) || !/^[A-Z][A-Z0-9_]+$/.test(name) || OF_NEIGHBOURS.test(name)) return [];
    const meant = bare.length < LENGTH_MIN ? undefined : KNOWN.find((known) => distance(bare, known) <= DISTANCE_MAX);
    return meant !== undefined || OURS.test(name) ? [{ name, meant }] : [];
  });
}

/** How many letters must be put in, left out, changed, or swapped with their neighbour. */
function distance(one: string, other: string): number {
  if (Math.abs(one.length - other.length) > DISTANCE_MAX) return DISTANCE_MAX + 1;
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const change = one[i - 1] === other[j - 1] ? 0 : 1;
      const isSwap = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      const swapped = isSwap ? at(beforeLast, j - 2) + 1 : Infinity;
      row.push(Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + change, swapped));
    }
    [beforeLast, last] = [last, row];
  }
  return at(last, other.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}
