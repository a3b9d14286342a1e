import type { Agent } from 'undici';
import type { Config } from '../../shared/config.js';
import { fail, ok, unseenFromContainer, warn, type Finding } from './finding.js';
import { httpAddress, lookByHttp, silentFinding, type HttpLook } from './http-look.js';
import type { Look } from './look.js';
import { parseOpsAnswer } from './parse-ops-answer.js';

type PortsConfig = Pick<Config, 'apiHost' | 'apiPort' | 'opsHost' | 'apiOpsPort' | 'workerOpsPort' | 'publicUrl'>;

interface PortsDeps {
  readonly dispatcher: Agent;
  readonly isInContainer: boolean;
}

interface Port {
  readonly name: string;
  readonly variable: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly isOurs: (look: HttpLook) => boolean;
}

const ADVICE = 'look what listens there';

/** Whether our own programs listen there, nothing does, or somebody else. */
export function portLooks(config: PortsConfig, deps: PortsDeps): readonly Look[] {
  const { apiHost, apiPort, opsHost, apiOpsPort, workerOpsPort, publicUrl } = config;
  const ops = { host: opsHost, path: '/healthz', isOurs: isOpsServer };
  const ports: readonly Port[] = [
    { name: 'api', variable: 'API_PORT', host: apiHost, port: apiPort, path: '/', isOurs: isIngress },
    { ...ops, name: 'api-ops', variable: 'API_OPS_PORT', port: apiOpsPort },
    { ...ops, name: 'worker-ops', variable: 'WORKER_OPS_PORT', port: workerOpsPort },
  ];
  const looks = ports.map((port) => ({ name: port.name, advice: ADVICE, look: () => lookAtPort(port, deps) }));
  if (publicUrl === undefined) return looks;
  return [...looks, { name: 'public-url', advice: ADVICE, look: () => lookAtPublicUrl(publicUrl, deps.dispatcher) }];
}

async function lookAtPort(
  { name, variable, host, port, path, isOurs }: Port,
  { dispatcher, isInContainer }: PortsDeps,
): Promise<Finding> {
  if (port === 0) return ok(name, `any free one (${variable}=0)`);
  const look = await lookByHttp(`${httpAddress(host, port)}${path}`, dispatcher);
  if (look.kind === 'refused')
    return isInContainer ? unseenFromContainer(name) : ok(name, `${port} is free: nothing runs there yet`);
  if (look.kind === 'silent') return silentFinding(name, port);
  if (isOurs(look)) return ok(name, `${port}: our own program answers`);
  return fail(name, `${port} is taken by another program`, `stop it, or set ${variable} to a free port`);
}

async function lookAtPublicUrl(publicUrl: string, dispatcher: Agent): Promise<Finding> {
  const look = await lookByHttp(`${publicUrl}/`, dispatcher);
  if (isIngress(look)) return ok('public-url', 'the ingress answers there');
  if (look.kind === 'unclear' && /CERT|SELF_SIGNED|ALTNAME|UNABLE_TO|TLS|SSL/i.test(look.reason))
    return fail(
      'public-url',
      `its certificate is not valid: ${look.reason}`,
      'Bitrix24 calls only valid HTTPS: get a certificate',
    );
  return warn(
    'public-url',
    `the ingress does not answer there (${reasonOf(look)}), as seen from this machine`,
    'look at the proxy and at its way to API_PORT; from outside it may be another',
  );
}

function reasonOf(look: HttpLook): string {
  switch (look.kind) {
    case 'answered':
      return `another answer, ${look.status}`;
    case 'refused':
      return 'nothing listens';
    case 'silent':
      return 'no answer in time';
    case 'unclear':
      return look.reason;
    default:
      return look satisfies never;
  }
}

/** Of the line that the ingress answers at `/`. */
function isIngress(look: HttpLook): boolean {
  return look.kind === 'answered' && look.status === 200 && look.body.startsWith('Bitrix24 event ingress');
}

function isOpsServer(look: HttpLook): boolean {
  return look.kind === 'answered' && parseOpsAnswer(look.body)?.status === 'ok';
}
