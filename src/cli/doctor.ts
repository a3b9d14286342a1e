import { EXIT_CONFIG } from '../shared/config.js';
import { Command } from 'commander';
import type { CommandHost } from './command-host.js';
import { parseMemberId, withJson, type Json } from './command-options.js';
import { examine } from './doctor/examine.js';
import { isInContainer } from './doctor/is-in-container.js';
import { isWell, lineOf, sumOf, type Check } from './doctor/report.js';
import { EXIT_INTERRUPTED } from './exit-codes.js';

export interface DoctorOptions extends Json {
  /** A `member_id`; the first 20 portals where there is none. */
  readonly portal?: string;
}

/** For tests: what cannot be had otherwise in good time. */
export interface DoctorKnobs {
  readonly nowMs?: () => number;
  readonly echoTimeoutMs?: number;
  readonly isInContainer?: boolean;
}

export function doctorCommand(host: CommandHost): Command {
  const command = new Command('doctor')
    .description(
      'Looks at configuration, Redis, key, disk, ports, queues and portals, and says what to do about each fault.',
    )
    .option('--portal <member_id>', 'only this portal; without it the first 20', parseMemberId);
  return withJson(command)
    .addHelpText('after', ENVIRONMENT_HELP)
    .action(async (options: DoctorOptions) => {
      process.exitCode = await doctor(options, host);
    });
}

const ENVIRONMENT_HELP = `
Give it the variables of the processes, and run it where they run. It changes nothing: a key and a file that it writes to see whether
that can be done are removed again, and so is the binding of ONAPPTEST, by which a portal is asked to send an event. Exit code 0 when
nothing fails, 1 when something does, 78 when a variable is wrong, 130 when a signal ended it.`;

const ECHO_TIMEOUT_MS = 30_000;

/** Gives the exit code; whatever is wrong is a line of the report. */
export async function doctor(options: DoctorOptions, host: CommandHost, knobs: DoctorKnobs = {}): Promise<number> {
  const checks: Check[] = [];
  const isConfigured = await examine({
    env: host.env,
    memberId: options.portal,
    signal: host.signal,
    nowMs: knobs.nowMs ?? Date.now,
    echoTimeoutMs: knobs.echoTimeoutMs ?? ECHO_TIMEOUT_MS,
    isInContainer: knobs.isInContainer ?? isInContainer(),
    onGroup: (title, found) => {
      checks.push(...found);
      if (!options.json && found.length > 0) for (const line of [title, ...found.map(lineOf), '']) host.write(line);
    },
  });
  const isOk = isWell(checks);
  host.write(options.json ? JSON.stringify({ ok: isOk, checks }) : sumOf(checks));
  if (host.signal.aborted) return EXIT_INTERRUPTED;
  if (!isConfigured) return EXIT_CONFIG;
  return isOk ? 0 : 1;
}
