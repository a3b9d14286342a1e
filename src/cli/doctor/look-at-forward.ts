import { errorCode } from '../../shared/caught-error.js';
import type { Config } from '../../shared/config.js';
import { listHandlerFiles } from '../../shared/handler-files.js';
import { fail, ok, type Finding } from './finding.js';
import { addressLook } from './look-at-address.js';
import type { Look } from './look.js';

/** Where events go. Nothing is sent there, and no handler is run. */
export function forwardLooks({ forwardUrl, handlersDir }: Pick<Config, 'forwardUrl' | 'handlersDir'>): readonly Look[] {
  const looks: Look[] = [];
  if (forwardUrl !== undefined)
    looks.push(addressLook({ name: 'forward-url', variable: 'FORWARD_URL', url: forwardUrl }));
  if (handlersDir !== undefined)
    looks.push({ name: 'handlers', advice: 'correct HANDLERS_DIR', look: () => lookAtHandlers(handlersDir) });
  return looks;
}

async function lookAtHandlers(dir: string): Promise<Finding> {
  try {
    const modules = await listHandlerFiles(dir);
    if (modules.length > 0) return ok('handlers', `${modules.length} modules in ${dir}`);
    return fail('handlers', `there is no module in ${dir}`, 'put one there, or correct HANDLERS_DIR');
  } catch (error) {
    return fail('handlers', `${dir} cannot be read: ${errorCode(error) ?? 'unknown'}`, 'correct HANDLERS_DIR');
  }
}

/** Where alerts and traces go. */
export function noticeLooks({ alertUrl, otlpEndpoint }: Pick<Config, 'alertUrl' | 'otlpEndpoint'>): readonly Look[] {
  const addresses = [
    { name: 'alert-url', variable: 'ALERT_URL', url: alertUrl },
    { name: 'otlp-endpoint', variable: 'OTEL_EXPORTER_OTLP_ENDPOINT', url: otlpEndpoint },
  ];
  return addresses.flatMap(({ url, ...address }) => (url === undefined ? [] : [addressLook({ ...address, url })]));
}
