/** Text that is HTML already: made by {@link html}, or a constant of this program. What came from outside never is. */
export class Html {
  constructor(readonly text: string) {}
}

/** Escapes whatever is put into it, except what is {@link Html} already. Attributes must stand in double quotes. */
export function html(
  parts: TemplateStringsArray,
  ...values: readonly (string | number | Html | readonly Html[])[]
): Html {
  const texts = values.map((value) => {
    if (value instanceof Html) return value.text;
    return typeof value === 'object' ? value.map(({ text }) => text).join('\n') : escapeHtml(String(value));
  });
  return new Html(parts.map((part, index) => part + (texts[index] ?? '')).join(''));
}

export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}

export interface Page {
  readonly title: string;
  /** Stands below the title. */
  readonly content: Html;
  /** Runs at the end of the page, after the portal's own library. */
  readonly script?: Html;
}

/** Where Bitrix24's library for pages inside a portal is, for portals of all zones (https://apidocs.bitrix24.com/sdk/bx24-js-sdk/). */
export const PORTAL_LIBRARY = 'https://api.bitrix24.com/api/v1/';

/** `nonce` is what lets the style and the script of this page in, and nobody else's. */
export function renderPage({ title, content, script }: Page, nonce: string): string {
  const scripts = script
    ? html`<script src="${PORTAL_LIBRARY}"></script>
        <script nonce="${nonce}">
          ${script};
        </script>`
    : new Html('');
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style nonce="${nonce}">
          ${STYLE}
        </style>
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          ${content}
        </main>
        ${scripts}
      </body>
    </html> `.text;
}

const STYLE = new Html(`
:root {
  color-scheme: light dark; --ink: #1f2328; --paper: #fff; --faint: #59636e; --accent: #0969da; --line: #d1d9e0; --good: #1a7f37; --bad: #cf222e;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #12161c; --faint: #9aa4af; --accent: #4c9aff; --line: #3a434d; --good: #3fb950; --bad: #ff7b72; }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 36rem; margin: 0 auto; padding: 1.5rem 1rem; overflow-wrap: anywhere; }
h1 { margin: 0 0 1rem; font-size: 1.375rem; line-height: 1.25; }
p { margin: 0 0 1rem; }
ul { margin: 0; padding-left: 1.25rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem; margin: 0 0 1rem; }
dt { color: var(--faint); }
dd { margin: 0; }
.state dd:first-of-type { font-weight: 600; }
.state dd:first-of-type::before {
  content: ""; display: inline-block; box-sizing: border-box; width: .75rem; height: .75rem; margin-right: .5rem;
  border: 2px solid var(--faint); border-radius: 50%;
}
.on dd:first-of-type::before { border-color: var(--good); background: var(--good); }
.faulty dd:first-of-type::before { border-color: var(--bad); background: var(--bad); }
form { margin: 1.5rem 0 0; }
button {
  min-height: 2.75rem; padding: 0 1.25rem; border: 1px solid var(--accent); border-radius: .5rem; background: none;
  color: var(--accent); font: inherit; font-weight: 600; cursor: pointer;
}
.to-on { background: var(--accent); color: var(--paper); }
button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.note { padding-top: 1rem; border-top: 1px solid var(--line); color: var(--faint); }
`);
