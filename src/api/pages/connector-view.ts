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
    content: html`<dl class="state ${state}">
        <dt>State</dt>
        <dd>${STATES[state].told}</dd>
        <dt>Open channel</dt>
        <dd>${place.line}</dd>
        <dt>Connector</dt>
        <dd>${place.connector}</dd>
      </dl>
      <p>${STATES[state].note}</p>
      ${switchForm(view)}`,
  };
}

const STATES = {
  on: {
    told: 'On',
    next: 'off',
    button: 'Switch off',
    note: 'Messages of customers go to the open channel, and its answers go back to them.',
  },
  off: {
    told: 'Off',
    next: 'on',
    button: 'Switch on',
    note: 'Messages of customers do not go to the open channel.',
  },
  faulty: {
    told: 'Bitrix24 reports an error',
    next: 'on',
    button: 'Switch on again',
    note: 'Messages may not arrive. Switching it on again often mends it.',
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
    <button class="to-${next}" name="state" value="${next}">${button}</button>
  </form>`;
}
