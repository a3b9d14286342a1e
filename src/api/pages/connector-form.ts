import { isMap } from '../../shared/is-map.js';
import type { Issue } from '../../shared/bitrix24/event.js';
import { wholeNumberOf } from '../../shared/bitrix24/schema-parts.js';

/** Who opened the page, and for what. */
export interface ConnectorForm {
  readonly memberId: string;
  readonly applicationToken: string;
  /** Of the person who looks at the page. */
  readonly accessToken: string;
  /** In lower case, as portals keep it. */
  readonly connector: string;
  readonly line: number;
}

export interface SwitchForm {
  readonly memberId: string;
  readonly ticket: string;
  readonly state: 'on' | 'off';
}

export type FormResult<Form> =
  { readonly ok: true; readonly form: Form } | { readonly ok: false; readonly issues: readonly Issue[] };

/** What a portal posts to the page that `imconnector.register` names (https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/imconnector-register.html). */
export function parseConnectorForm(decoded: unknown): FormResult<ConnectorForm> {
  const fields = isMap(decoded) ? decoded : {};
  const options = optionsIn(fields['PLACEMENT_OPTIONS']);
  const memberId = matching(fields['member_id'], MEMBER_ID);
  const applicationToken = matching(fields['APPLICATION_TOKEN'], TOKEN);
  const accessToken = matching(fields['AUTH_ID'], TOKEN);
  const connector = matching(options['CONNECTOR'], CONNECTOR)?.toLowerCase() ?? null;
  const line = wholeNumberOf(options['LINE']);
  const isPlacement = fields['PLACEMENT'] === 'SETTING_CONNECTOR';
  const isLine = line !== null && line > 0;
  if (memberId !== null && applicationToken !== null && accessToken !== null && connector !== null && isLine) {
    if (isPlacement) return { ok: true, form: { memberId, applicationToken, accessToken, connector, line } };
  }
  const checks: readonly (readonly [boolean, keyof typeof WANTED])[] = [
    [memberId !== null, 'member_id'],
    [applicationToken !== null, 'APPLICATION_TOKEN'],
    [accessToken !== null, 'AUTH_ID'],
    [isPlacement, 'PLACEMENT'],
    [connector !== null, 'PLACEMENT_OPTIONS.CONNECTOR'],
    [isLine, 'PLACEMENT_OPTIONS.LINE'],
  ];
  return { ok: false, issues: issuesOf(checks) };
}

/** What our own page posts. */
export function parseSwitchForm(decoded: unknown): FormResult<SwitchForm> {
  const fields = isMap(decoded) ? decoded : {};
  const memberId = matching(fields['member_id'], MEMBER_ID);
  const ticket = matching(fields['ticket'], TICKET);
  const state = fields['state'];
  const isState = state === 'on' || state === 'off';
  if (memberId !== null && ticket !== null && isState) return { ok: true, form: { memberId, ticket, state } };
  const checks: readonly (readonly [boolean, keyof typeof WANTED])[] = [
    [memberId !== null, 'member_id'],
    [ticket !== null, 'ticket'],
    [isState, 'state'],
  ];
  return { ok: false, issues: issuesOf(checks) };
}

const MEMBER_ID = /^[\w.-]{1,64}$/;
const TOKEN = /^[!-~]{1,256}$/;
const CONNECTOR = /^[a-z0-9_]{1,50}$/i;
const TICKET = /^[\w.-]{1,4096}$/;

const WANTED = {
  member_id: 'expected 1 to 64 letters, digits or any of _.-',
  APPLICATION_TOKEN: 'expected a string of 1 to 256 characters',
  AUTH_ID: 'expected a string of 1 to 256 characters',
  PLACEMENT: 'expected SETTING_CONNECTOR',
  'PLACEMENT_OPTIONS.CONNECTOR': 'expected 1 to 50 letters, digits or _',
  'PLACEMENT_OPTIONS.LINE': 'expected the number of an open channel',
  ticket: 'expected what the page of the connector holds',
  state: 'expected on or off',
} as const;

function issuesOf(checks: readonly (readonly [boolean, keyof typeof WANTED])[]): readonly Issue[] {
  return checks.filter(([isGood]) => !isGood).map(([, path]) => ({ path, message: WANTED[path] }));
}

function optionsIn(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'string') return {};
  try {
    const options: unknown = JSON.parse(value);
    return isMap(options) ? options : {};
  } catch {
    return {};
  }
}

function matching(value: unknown, pattern: RegExp): string | null {
  return typeof value === 'string' && pattern.test(value) ? value : null;
}
