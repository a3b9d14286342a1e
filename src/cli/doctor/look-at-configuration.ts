import type { Config } from '../../shared/config.js';
import { isLoopbackName } from '../../shared/host-entry.js';
import { fail, ok, warn, type Finding } from './finding.js';
import { mistypedVariables } from './mistyped-variables.js';
import type { ReadConfiguration } from './read-configuration.js';

export function lookAtConfiguration(read: ReadConfiguration, env: NodeJS.ProcessEnv): readonly Finding[] {
  const { config, problems, wrong } = read;
  return [
    ...lookAtVariables(problems),
    ...lookAtMistyped(env),
    ...lookAtPortalsKnown(config, wrong),
    ...lookAtEffects(config, wrong),
    ...lookAtPublicUrl(config, wrong),
    ...lookAtSenders(config),
  ];
}

function lookAtVariables(problems: readonly string[]): readonly Finding[] {
  if (problems.length === 0) return [ok('variables', 'all of them can be read')];
  return problems.map((problem) =>
    fail('variables', problem, 'mend it: no process starts with it (README.md, Variables)'),
  );
}

function lookAtMistyped(env: NodeJS.ProcessEnv): readonly Finding[] {
  return mistypedVariables(env).map(({ name, meant }) =>
    warn(
      'unknown-variables',
      `nobody reads ${name}`,
      meant === undefined
        ? 'look for its name in README.md (Variables), unless it is for a handler of yours'
        : `${meant} may be meant`,
    ),
  );
}

function lookAtPortalsKnown(
  { applicationTokens, b24ClientId }: Config,
  wrong: ReadonlySet<string>,
): readonly Finding[] {
  if (wrong.has('APPLICATION_TOKENS') || wrong.has('B24_CLIENT_ID')) return [];
  if (b24ClientId !== undefined) return [ok('portals-known', 'by the installation of the app')];
  if (applicationTokens.size > 0)
    return [ok('portals-known', `by APPLICATION_TOKENS, ${applicationTokens.size} of them`)];
  return [
    warn(
      'portals-known',
      'neither APPLICATION_TOKENS nor B24_CLIENT_ID is given to this command',
      'give it the variables of the processes; where those have neither, no portal can be known and every event is rejected in the end',
    ),
  ];
}

function lookAtEffects({ forwardUrl, handlersDir }: Config, wrong: ReadonlySet<string>): readonly Finding[] {
  if (wrong.has('FORWARD_URL')) return [];
  const ways = [
    ...(forwardUrl === undefined ? [] : ['forwarded by FORWARD_URL']),
    ...(handlersDir === undefined ? [] : ['given to the handlers of HANDLERS_DIR']),
  ];
  if (ways.length > 0) return [ok('effects', `events are ${ways.join(', and ')}`)];
  return [
    warn(
      'effects',
      'neither FORWARD_URL nor HANDLERS_DIR is given to this command',
      'give it the variables of the processes; where those have neither, nothing is done about events',
    ),
  ];
}

function lookAtPublicUrl({ publicUrl, b24ClientId }: Config, wrong: ReadonlySet<string>): readonly Finding[] {
  if (wrong.has('PUBLIC_URL')) return [];
  if (publicUrl === undefined) {
    if (b24ClientId === undefined) return [];
    const found = 'PUBLIC_URL is not set, so no event can be bound and no new token of a known portal be confirmed';
    return [warn('public-url', found, 'set it to the address at which Bitrix24 reaches the ingress')];
  }
  const { protocol, hostname } = new URL(publicUrl);
  if (protocol === 'https:' || isLoopbackName(hostname)) return [ok('public-url', publicUrl)];
  const advice =
    'Bitrix24 calls only valid HTTPS: put a proxy with a certificate in front, and begin PUBLIC_URL with https://';
  return [isPrivateName(hostname) ? warn('public-url', publicUrl, advice) : fail('public-url', publicUrl, advice)];
}

/** A name without a dot is one of a private network, as of containers with a simulated portal among them. */
function isPrivateName(hostname: string): boolean {
  return !/[.:]/.test(hostname);
}

function lookAtSenders({ senderIps, trustProxy, publicUrl }: Config): readonly Finding[] {
  if (senderIps.length === 0 || trustProxy > 0 || publicUrl === undefined) return [];
  const found = 'SENDER_IPS is set and TRUST_PROXY is 0: behind a proxy every event seems to come from the proxy';
  return [warn('sender-list', found, 'set TRUST_PROXY to the number of proxies in front of the ingress')];
}
