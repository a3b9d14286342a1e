import type { Simulator } from '../../simulator/start-simulator.js';
import type { SimulatorSettings } from './simulator-settings.js';

/** What a developer must know of a simulator that runs: where it is, what the app needs to know, how to make it act. */
export function serveLines(simulator: Simulator, settings: SimulatorSettings): readonly string[] {
  const { url, oauthHost, portals } = simulator;
  // Plain http is a matter of course for loopback alone.
  const scheme = settings.hostname === undefined ? '' : 'http://';
  return [
    '',
    `  OAuth server  ${url}/oauth/token/`,
    `  messenger     ${url}/messenger/messages`,
    ...portals.map(({ clientEndpoint, memberId }) => `  portal        ${clientEndpoint}  (member_id ${memberId})`),
    '',
    ...(settings.isFromFile
      ? ['  npm start has told the app all this.']
      : [
          '  The app needs, beside B24_CLIENT_ID and B24_CLIENT_SECRET as they are set here:',
          '',
          `B24_OAUTH_HOSTS=${scheme}${oauthHost}`,
          `B24_PORTAL_HOSTS=${portals.map(({ host }) => scheme + host).join(',')}`,
        ]),
    '',
    `  Installs the app in the first portal, at ${settings.url}; sends an event; tells what came back:`,
    '',
    `curl -sS -w '\\n' '${url}/control/install' -H 'content-type: application/json' -d '{"eventsUrl":"${settings.url}"}'`,
    `curl -sS -w '\\n' '${url}/control/send' -H 'content-type: application/json' -d '{"event":"ONIMCONNECTORMESSAGEADD"}'`,
    `curl -sS -w '\\n' '${url}/control/report'`,
    '',
    '  Ctrl-C ends it.',
    '',
  ];
}
