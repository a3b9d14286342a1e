import { InvalidArgumentError, type Command } from 'commander';

// What several commands have in common.

export interface Json {
  readonly json: boolean;
}

export function withJson(command: Command): Command {
  return command.option('--json', 'one JSON object instead of lines', false);
}

/** `--portal`, as often as one likes. */
export function withPortals(command: Command): Command {
  return command.option('--portal <member_id>', 'only this portal; may be given several times', collect, []);
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, parseMemberId(value)];
}

/** @throws {InvalidArgumentError} where it is none. */
export function parseMemberId(value: string): string {
  if (!/^[\w.-]{1,64}$/.test(value)) throw new InvalidArgumentError('expected 1 to 64 letters, digits or any of _.-');
  return value;
}

/** What stands below the options of a command that goes by the Redis of the processes. */
export function environmentHelp({ what, exitsWith1 }: { readonly what: string; readonly exitsWith1: string }): string {
  return `
${what}
Reads the same variables as the other processes. Where REDIS_URL is unset it finds the Redis that \`npm start\` keeps on DATA_DIR.
Exit code 0, 1 when ${exitsWith1},
78 when a variable is missing or wrong, 130 when a signal ended it.`;
}
