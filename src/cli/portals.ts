import { Command } from 'commander';
import type { CommandHost } from './command-host.js';
import { environmentHelp, parseMemberId, withJson, type Json } from './command-options.js';
import { confirmErasure } from './portals/confirm-erasure.js';
import { listPortals } from './portals/list-portals.js';
import { showPortal } from './portals/show-portal.js';
import { runOnRedis, type OnRedis } from './run-on-redis.js';

export function portalsCommand(host: CommandHost): Command {
  const run = async (work: (parts: OnRedis) => Promise<number>): Promise<void> => {
    process.exitCode = await runOnRedis('portals', host, work);
  };
  return new Command('portals')
    .description('The portals that are known, what waits for them, and the erasure of all that is kept of one.')
    .addCommand(
      withJson(new Command('list').description('all portals (this is what `portals` alone does)')).action(
        (options: Json) => run((parts) => listPortals(options, parts)),
      ),
      { isDefault: true },
    )
    .addCommand(
      withJson(new Command('show').description('all that is known of one portal, but its tokens'))
        .argument('<member_id>', 'the portal', parseMemberId)
        .action((portal: string, { json }: Json) => run((parts) => showPortal({ memberId: portal, json }, parts))),
    )
    .addCommand(
      withJson(new Command('erase').description('deletes all that is kept of one portal, as the law may demand'))
        .argument('<member_id>', 'the portal', parseMemberId)
        .option('--yes', 'do not ask', false)
        .addHelpText('after', ERASE_HELP)
        .action((portal: string, { json, yes }: Json & { readonly yes: boolean }) =>
          run((parts) => confirmErasure({ memberId: portal, json, yes }, parts)),
        ),
    )
    .addHelpText('after', HELP);
}

const HELP = environmentHelp({
  what: 'Each takes --json. No portal is called, and no token is told.',
  exitsWith1: 'the portal is not known or something was not done',
});

const ERASE_HELP = `
Removes the record, the tokens, the states of connectors and the jobs of the portal in all queues. What an ingress still has in its
journal is erased when its turn comes. Uninstall the app there first: what the portal sends afterwards is kept as of an unknown one.`;
