export type Status = 'ok' | 'warn' | 'fail';

/** What one look came to. */
export interface Finding {
  /** Within its group; words with dashes between them. */
  readonly name: string;
  readonly status: Status;
  readonly found: string;
  /** What a person can do about it. */
  readonly advice: string | undefined;
  /** The portal that it is of. */
  readonly memberId?: string;
}

export function ok(name: string, found: string): Finding {
  return { name, status: 'ok', found, advice: undefined };
}

/** For what runs in other containers. */
export function unseenFromContainer(name: string): Finding {
  return ok(name, 'not looked at: from inside a container only its own process is seen');
}

export function warn(name: string, found: string, advice: string): Finding {
  return { name, status: 'warn', found, advice };
}

export function fail(name: string, found: string, advice: string): Finding {
  return { name, status: 'fail', found, advice };
}
