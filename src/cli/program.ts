import { Command, CommanderError } from 'commander';
import { errorMessage } from '../shared/caught-error.js';
import { EXIT_CONFIG, ConfigError } from '../shared/config.js';
import { StartError } from '../shared/start-error.js';

export interface Program {
  readonly version: string;
  /** Without the names of Node and of the program. */
  readonly args: readonly string[];
  /** Each sets `process.exitCode` where it ends in another way than well. */
  readonly commands: readonly Command[];
}

/** Runs the command that the arguments name; gives the exit code of what kept it from running, or 0. */
export async function runProgram({ version, args, commands }: Program): Promise<number> {
  const program = new Command('b24-events')
    .description('A Bitrix24 to develop against, and what is looked at and done by hand: portals, connectors, queues.')
    .version(version)
    .showHelpAfterError()
    .exitOverride();
  for (const command of commands) adopt(program, command);
  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    return report(error);
  }
}

/** With the subcommands of a command: each would end the process by itself otherwise. */
function adopt(parent: Command, command: Command): void {
  command.copyInheritedSettings(parent);
  for (const inner of command.commands) inner.copyInheritedSettings(command);
  parent.addCommand(command);
}

/** In one sentence where one says it all: only what nobody foresaw comes with a stack. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode;
  if (error instanceof ConfigError) return say(error.problems, EXIT_CONFIG);
  if (error instanceof StartError) return say([error.message], error.exitCode);
  return say([error instanceof Error ? (error.stack ?? error.message) : errorMessage(error)], 1);
}

function say(lines: readonly string[], exitCode: number): number {
  for (const line of lines) process.stderr.write(`${line}\n`);
  return exitCode;
}
