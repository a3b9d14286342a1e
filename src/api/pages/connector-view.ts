import type { ConnectorPlace } from './connector-calls.js';
import { html, type Html, type Page } from './page-html.js';
import { queryOf } from './portal-origin.js';

export interface ConnectorView {
  readonly place: ConnectorPlace;
  readonly state: 'on' | 'off' | 'faulty';
  readonly memberId: string;
  readonly ticket: string;
  /** Relative to the page: a proxy may have put both below another path. */
  readonly action: string;
  readonly request: { readonly originalUrl: string };
}

export function connectorPage(view: ConnectorView): Page {
  const { place, state } = view;
  return {
    title: place.name,
    content: html`<dl>
        <dt>Connector</dt>
        <dd>${place.connector}</dd>
        <dt>Open channel</dt>
        <dd>${place.line}</dd>
        <dt>State</dt>
        <dd>${STATES[state].told}</dd>
      </dl>
      ${switchForm(view)}
      <p class="note">${STATES[state].note}</p>`,
  };
}

const STATES = {
  on: {
    told: 'On',
    next: 'off',
    button: 'Switch off',
    note: 'Messages of this connector go to the open channel, and its answers go back.',
  },
  off: {
    told: 'Off',
    next: 'on',
    button: 'Switch on',
    note: 'No messages of this connector go to the open channel.',
  },
  faulty: {
    told: 'Bitrix24 reports an error',
    next: 'on',
    button: 'Switch on again',
    note: 'Switching it on again often mends it.',
  },
} as const;

/** It is sent with the same query, so that the page that follows knows who may frame it. */
function switchForm({ state, memberId, ticket, action, request }: ConnectorView): Html {
  const { next, button } = STATES[state];
  const kept = new URLSearchParams();
  for (const [name, value] of queryOf(request)) if (name === 'DOMAIN' || name === 'PROTOCOL') kept.append(name, value);
  return html`<form method="post" action="${action}?${kept.toString()}">
    <input type="hidden" name="member_id" value="${memberId}" />
    <input type="hidden" name="ticket" value="${ticket}" />
    <button name="state" value="${next}">${button}</button>
  </form>`;
}
