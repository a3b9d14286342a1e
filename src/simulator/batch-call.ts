import { isMap } from '../shared/is-map.js';
import { parse } from 'qs';
import { upperCaseKeys, type Params } from './method-params.js';
import { noteCall, type PortalState, type RestCall } from './portal-state.js';
import { isRestFault, RestFault } from './rest-fault.js';

const CALLS_MAX = 50;

export interface Batch {
  readonly params: Params;
  readonly call: RestCall;
  readonly portal: PortalState;
  readonly run: (call: RestCall) => unknown;
}

/** https://apidocs.bitrix24.com/settings/how-to-call-rest-api/batch.html: the answer is 200 even where each call failed. */
export function callBatch({ params, call, portal, run }: Batch): unknown {
  const { CMD: commands, HALT: halt } = upperCaseKeys(params);
  const entries = Object.entries(typeof commands === 'object' && commands !== null ? commands : {});
  if (entries.length > CALLS_MAX)
    throw new RestFault(400, 'ERROR_BATCH_LENGTH_EXCEEDED', `Max batch length ${CALLS_MAX} exceeded`);
  const isHalting = halt === '1' || halt === 1 || halt === true;
  const results: Record<string, unknown> = {};
  const errors: Record<string, unknown> = {};
  for (const [name, command] of entries) {
    const inner = noteCall(portal, {
      ...innerCallOf(command),
      atMs: call.atMs,
      owner: call.owner,
      isInBatch: true,
    });
    inner.status = 200;
    try {
      results[name] = runInner(inner, run);
    } catch (error) {
      errors[name] = noteError(inner, error);
      if (isHalting) break;
    }
  }
  return {
    result: phpMap(results),
    result_error: phpMap(errors),
    result_total: [],
    result_next: [],
    result_time: [],
  };
}

function runInner(inner: RestCall, run: Batch['run']): unknown {
  if (inner.method === 'batch')
    throw new RestFault(405, 'ERROR_BATCH_METHOD_NOT_ALLOWED', 'Method is not allowed for batch usage');
  return run(inner);
}

function noteError(inner: RestCall, error: unknown): unknown {
  if (!isRestFault(error)) throw error;
  inner.error = error.code;
  inner.status = error.status;
  return { error: error.code, error_description: error.description };
}

/** `method?a=1&b[c]=2`, or the same as a map or a pair. */
function innerCallOf(command: unknown): Pick<RestCall, 'method' | 'params'> {
  if (typeof command === 'string') {
    const split = command.indexOf('?');
    const method = split === -1 ? command : command.slice(0, split);
    const params =
      split === -1 ? {} : parse(command.slice(split + 1), { depth: 32, parameterLimit: 10_000, arrayLimit: 1000 });
    return { method: method.replace(/\.json$/, '').toLowerCase(), params };
  }
  const { method, params } = isMap(command) ? command : { method: '', params: {} };
  return { method: String(method).toLowerCase(), params: isMap(params) ? params : {} };
}

/** PHP writes an empty map as an empty list. */
function phpMap(map: Readonly<Record<string, unknown>>): unknown {
  return Object.keys(map).length === 0 ? [] : map;
}
