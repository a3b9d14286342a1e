import { isMap } from '../../shared/is-map.js';
import type { Issue } from '../../shared/bitrix24/event.js';
import { parseEnvelope, type EnvelopeResult } from '../../shared/bitrix24/parse-event.js';
import { portalOriginOf } from './portal-origin.js';

/**
 * What a portal posts to the installation page of an app
 * (https://apidocs.bitrix24.com/settings/app-installation/installation-finish.html), as the event that tells the same. Nothing of it
 * is believed here: the worker proves it like any other installation.
 */
export function parseInstallForm(form: unknown, query: URLSearchParams, nowMs: number): EnvelopeResult {
  const fields = isMap(form) ? form : {};
  const origin = portalOriginOf(query);
  const parsed = parseEnvelope({
    event: 'ONAPPINSTALL',
    data: { INSTALLED: 'Y', LANGUAGE_ID: query.get('LANG') },
    ts: Math.floor(nowMs / 1000),
    auth: {
      access_token: fields['AUTH_ID'],
      refresh_token: fields['REFRESH_ID'],
      expires_in: fields['AUTH_EXPIRES'],
      application_token: fields['APPLICATION_TOKEN'],
      scope: fields['APPLICATION_SCOPE'],
      status: fields['status'],
      member_id: fields['member_id'],
      server_endpoint: fields['SERVER_ENDPOINT'],
      ...(origin !== undefined && { domain: new URL(origin).host, client_endpoint: `${origin}/rest/` }),
    },
  });
  const issues = [
    ...(origin === undefined ? [NO_PORTAL] : []),
    ...['AUTH_ID', 'REFRESH_ID'].filter((name) => !isFilled(fields[name])).map((name) => noToken(name)),
    ...(parsed.ok ? [] : parsed.issues.map(asField)),
  ];
  return issues.length > 0 ? { ok: false, issues } : parsed;
}

const NO_PORTAL: Issue = { path: 'DOMAIN, PROTOCOL', message: 'expected the host of a portal, and 0 or 1' };

function noToken(path: string): Issue {
  return { path, message: 'expected a string that is not empty' };
}

/** By the name under which it was posted. */
function asField({ path, message }: Issue): Issue {
  return { path: FIELDS[path] ?? path, message };
}

const FIELDS: Readonly<Record<string, string>> = {
  'auth.member_id': 'member_id',
  'auth.application_token': 'APPLICATION_TOKEN',
};

function isFilled(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}
