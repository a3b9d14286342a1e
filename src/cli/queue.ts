import { Argument, Command, InvalidArgumentError } from 'commander';
import { QUEUE_NAMES, type QueueName } from '../shared/queues.js';
import type { CommandHost } from './command-host.js';
import { environmentHelp, withJson, type Json } from './command-options.js';
import { countQueues } from './queue/count-queues.js';
import { listFailed } from './queue/list-failed.js';
import { pauseQueues } from './queue/pause-queues.js';
import { runOnRedis, type OnRedis } from './run-on-redis.js';

/** Those that act on events: a forgery in `rejected` is only set aside. */
const ACTING = ['deliveries', 'effects'] as const;

export function queueCommand(host: CommandHost): Command {
  const run = async (work: (parts: OnRedis) => Promise<number>): Promise<void> => {
    process.exitCode = await runOnRedis('queue', host, work);
  };
  return new Command('queue')
    .description('How much waits, is under way, failed; pauses and resumes.')
    .addCommand(
      withJson(new Command('counts').description('of each queue (this is what `queue` alone does)')).action(
        (options: Json) => run((parts) => countQueues(options, parts)),
      ),
      { isDefault: true },
    )
    .addCommand(pauseCommand('pause', run))
    .addCommand(pauseCommand('resume', run))
    .addCommand(failedCommand(run))
    .addHelpText('after', environmentHelp({ what: 'Each takes --json.', exitsWith1: 'Redis does not answer' }));
}

type Run = (work: (parts: OnRedis) => Promise<number>) => Promise<void>;

/** Only what acts on events is paused. What is paused all the same, by whatever hand, can be resumed. */
const CAN_SWITCH: Readonly<Record<'pause' | 'resume', readonly QueueName[]>> = { pause: ACTING, resume: QUEUE_NAMES };

function pauseCommand(name: 'pause' | 'resume', run: Run): Command {
  const description =
    name === 'pause'
      ? 'lets no worker begin a job, until it is resumed; events are still taken in and kept'
      : 'lets the workers go on';
  const all = CAN_SWITCH[name];
  return withJson(new Command(name).description(description))
    .addArgument(new Argument('[queue]', 'which').choices([...all, 'all']).default('all'))
    .action((which: QueueName | 'all', { json }: Json) =>
      run((parts) => pauseQueues({ queues: which === 'all' ? all : [which], isPause: name === 'pause', json }, parts)),
    );
}

function failedCommand(run: Run): Command {
  return withJson(new Command('failed').description('the newest jobs that failed for good'))
    .addArgument(new Argument('[queue]', 'which; deliveries and effects where none is named').choices(QUEUE_NAMES))
    .option('--limit <number>', 'how many at most', limit, 20)
    .action((which: QueueName | undefined, options: Json & { readonly limit: number }) =>
      run((parts) => listFailed({ queues: which === undefined ? ACTING : [which], ...options }, parts)),
    );
}

function limit(value: string): number {
  const number = /^\d{1,4}$/.test(value) ? Number(value) : 0;
  if (number < 1 || number > 1000) throw new InvalidArgumentError('expected a whole number from 1 to 1000.');
  return number;
}
