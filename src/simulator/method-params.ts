import { isMap } from '../shared/is-map.js';
import { RestFault } from './rest-fault.js';

export type Params = Readonly<Record<string, unknown>>;

/** The portal takes the names of parameters in either case. */
export function upperCaseKeys(params: Params): Params {
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name.toUpperCase(), value]));
}

export function textParam(params: Params, name: string): string {
  const value = params[name];
  if ((typeof value !== 'string' && typeof value !== 'number') || value === '') throw missing(name);
  return String(value);
}

export function numberParam(params: Params, name: string): number {
  const number = Number(textParam(params, name));
  if (!Number.isSafeInteger(number)) throw argumentFault(`Argument '${name}' is not a number`);
  return number;
}

export function mapParam(params: Params, name: string): Params {
  const value = params[name];
  if (!isMap(value)) throw missing(name);
  return value;
}

/** A list of maps; a form may have made a map with numbers as its keys of it. */
export function listParam(params: Params, name: string): readonly Params[] {
  const value = params[name];
  const items = typeof value === 'object' && value !== null ? Object.values(value) : [];
  if (items.length === 0) throw missing(name);
  if (!items.every(isMap)) throw argumentFault(`Argument '${name}' is no list of maps`);
  return items;
}

/** The map under a name, or an empty one. */
export function mapIn(params: Params, name: string): Params {
  const value = params[name];
  return isMap(value) ? value : {};
}

export function argumentFault(description: string): RestFault {
  return new RestFault(400, 'ERROR_ARGUMENT', description);
}

function missing(name: string): RestFault {
  return argumentFault(`Argument '${name}' is null or empty`);
}
