import { randomBytes } from 'node:crypto';
import { forgetOldestEntries, forgetOldestItems } from './forget-oldest.js';

/** Whose token it is, and of which app. */
export interface TokenOwner {
  readonly memberId: string;
  readonly userId: number;
  readonly isAdmin: boolean;
  readonly clientId: string;
}

export interface TokenPair {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly expiresAtMs: number;
  readonly expiresInSeconds: number;
  readonly owner: TokenOwner;
}

/** `revoked`: the app was uninstalled. */
export type TokenState =
  | { readonly kind: 'valid' | 'expired' | 'revoked'; readonly owner: TokenOwner; readonly expiresAtMs: number }
  | { readonly kind: 'unknown' };

interface Entry {
  readonly owner: TokenOwner;
  expiresAtMs: number;
  isRevoked: boolean;
}

const ACCESS_SECONDS = 3600;
const REFRESH_SECONDS = 180 * 86_400;
const TOKENS_MAX = 100_000;

/** All tokens that the OAuth server gave out. */
export class TokenBook {
  readonly #now: () => number;
  readonly #access = new Map<string, Entry>();
  readonly #refresh = new Map<string, Entry>();
  readonly #issued: string[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Every token that was given out, the newest where there were very many. */
  get issued(): readonly string[] {
    return this.#issued;
  }

  issue(owner: TokenOwner): TokenPair {
    const accessToken = this.#add(this.#access, owner, ACCESS_SECONDS);
    const refreshToken = this.#add(this.#refresh, owner, REFRESH_SECONDS);
    const expiresAtMs = this.#now() + ACCESS_SECONDS * 1000;
    return { accessToken, refreshToken, expiresAtMs, expiresInSeconds: ACCESS_SECONDS, owner };
  }

  /** A new pair; the refresh token holds no longer, whatever becomes of the answer. */
  rotate(refreshToken: string): TokenPair | undefined {
    const state = this.refreshState(refreshToken);
    if (state.kind !== 'valid') return undefined;
    this.#refresh.delete(refreshToken);
    return this.issue(state.owner);
  }

  accessState(accessToken: string): TokenState {
    return this.#stateOf(this.#access.get(accessToken));
  }

  refreshState(refreshToken: string): TokenState {
    return this.#stateOf(this.#refresh.get(refreshToken));
  }

  expireAccess(memberId: string): void {
    for (const entry of entriesOf(this.#access, memberId)) entry.expiresAtMs = 0;
  }

  expireRefresh(memberId: string): void {
    for (const entry of entriesOf(this.#refresh, memberId)) entry.expiresAtMs = 0;
  }

  revoke(memberId: string): void {
    for (const entry of [...entriesOf(this.#access, memberId), ...entriesOf(this.#refresh, memberId)])
      entry.isRevoked = true;
  }

  #add(tokens: Map<string, Entry>, owner: TokenOwner, seconds: number): string {
    const token = randomBytes(24).toString('hex');
    this.#issued.push(token);
    forgetOldestItems(this.#issued, TOKENS_MAX);
    tokens.set(token, { owner, expiresAtMs: this.#now() + seconds * 1000, isRevoked: false });
    forgetOldestEntries(tokens, TOKENS_MAX);
    return token;
  }

  #stateOf(entry: Entry | undefined): TokenState {
    if (!entry) return { kind: 'unknown' };
    const { owner, expiresAtMs, isRevoked } = entry;
    if (isRevoked) return { kind: 'revoked', owner, expiresAtMs };
    return { kind: expiresAtMs > this.#now() ? 'valid' : 'expired', owner, expiresAtMs };
  }
}

function entriesOf(tokens: ReadonlyMap<string, Entry>, memberId: string): readonly Entry[] {
  return [...tokens.values()].filter(({ owner }) => owner.memberId === memberId);
}
