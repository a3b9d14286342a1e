import { InvalidArgumentError, Option, type Command } from 'commander';

export interface SimulateOptions {
  readonly install?: boolean;
  readonly events: number;
  readonly rate?: number;
  readonly burst?: number;
  readonly duplicates: number;
  readonly sameSecond: number;
  readonly forgeries: number;
  readonly tokens: boolean;
  readonly repeat?: boolean;
  readonly customers: number;
  readonly portals?: number;
  readonly url?: string;
  readonly host?: string;
  readonly dataDir?: string;
  readonly seed: number;
  readonly json?: boolean;
  readonly timeoutSeconds: number;
}

/** One portal's REST budget would make the tour long, so there are several of them. */
export const PORTALS = 10;
const PORTALS_MAX = 100;
/** As many as the simulator remembers. */
const EVENTS_MAX = 1_000_000;
const CUSTOMERS_MAX = 1_000_000;
const NUMBER_MAX = 999_999_999;
/** A day. */
const SECONDS_MAX = 86_400;

/** All others say how the tour is to be. */
const WITHOUT_TOUR: ReadonlySet<string> = new Set(['install', 'portals', 'url', 'host', 'dataDir']);

export function addSimulateOptions(command: Command): Command {
  return command
    .option('--install', 'the tour: install the app, send events, wait for the answers, uninstall, report')
    .option('--events <number>', 'how many events the tour sends', wholeNumber(1, EVENTS_MAX), 1000)
    .option('--rate <number>', 'events a second; as fast as they are taken by default', positiveNumber)
    .option('--burst <number>', 'how many of them come at once at that rate', wholeNumber(1, NUMBER_MAX))
    .addOption(shareOption('duplicates', 'share of the events that are sent twice'))
    .addOption(shareOption('same-second', 'share of the events that carry the second of the one before'))
    .addOption(shareOption('forgeries', 'forged events beside the true ones, as a share of them'))
    .option('--no-tokens', 'events behind which no person stands, so that they carry no OAuth tokens')
    .option('--repeat', 'send again what is not accepted, which Bitrix24 does not')
    .option('--customers <number>', 'how many messages customers write meanwhile', wholeNumber(0, CUSTOMERS_MAX), 0)
    .option(
      '--portals <number>',
      `how many portals, up to ${PORTALS_MAX}; ${PORTALS}, or as many as npm start made ready`,
      wholeNumber(1, PORTALS_MAX),
    )
    .option('--url <address>', 'where the app takes events in')
    .option(
      '--host <name>',
      'the name of this machine for an app on another one; it is open to every machine then',
      hostName,
    )
    .option('--data-dir <folder>', 'the data folder of npm start; ./data by default')
    .option('--seed <number>', 'the same one makes the same choices', wholeNumber(1, NUMBER_MAX), 1)
    .option('--json', 'the report as JSON')
    .option('--timeout-seconds <number>', 'how long the tour waits for the answers', wholeNumber(1, SECONDS_MAX), 900)
    .hook('preAction', refuseIdleOptions);
}

/** An option that would do nothing is refused: who gave it expects something of it. */
function refuseIdleOptions(command: Command): void {
  if (command.getOptionValue('install') === true) return;
  const idle = command.options.filter((option) => {
    const name = option.attributeName();
    return !WITHOUT_TOUR.has(name) && command.getOptionValueSource(name) === 'cli';
  });
  if (idle.length === 0) return;
  const names = idle.map(({ long }) => long).join(', ');
  command.error(`error: ${names}: only the tour heeds this; expected --install with it`);
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,9}$/.test(text) || Number(text) < min || Number(text) > max)
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    return Number(text);
  };
}

function hostName(text: string): string {
  if (/^[A-Za-z0-9.-]{1,253}$/.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError('Expected the name or the IPv4 address of a machine.');
}

function positiveNumber(text: string): number {
  const number = Number(text);
  if (!(number > 0 && number <= 100_000)) throw new InvalidArgumentError('Expected a number above 0, up to 100000.');
  return number;
}

function shareOption(name: string, description: string): Option {
  const option = new Option(`--${name} [share]`, description).argParser(shareOf).default(0);
  return option.preset(SHARE_WITHOUT_NUMBER);
}

const SHARE_WITHOUT_NUMBER = '0.1';

function shareOf(text: string): number {
  const number = Number(text);
  if (!(number >= 0 && number <= 1)) throw new InvalidArgumentError('Expected a share from 0 to 1, such as 0.1.');
  return number;
}
