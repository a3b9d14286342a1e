import type { RedisInfo } from '../redis-info.js';
import { errorMessage } from '../caught-error.js';
import type { AlertRule } from './alert-rule.js';

export interface RedisRulesDeps {
  /** Rejects where Redis does not take a write within a moment. */
  readonly write: () => Promise<void>;
  readonly info: () => Promise<Pick<RedisInfo, 'usedBytes' | 'bytesMax'>>;
}

const UNREACHABLE_FOR_MS = 15_000;
const FULL_FOR_MS = 10_000;
/** The drain stops at 80 %; what lies above it was not put there by waiting deliveries. */
export const USED_SHARE_MAX = 0.85;

export function createRedisRules({ write, info }: RedisRulesDeps): AlertRule[] {
  return [
    {
      name: 'redis-unreachable',
      scope: 'system',
      forMs: UNREACHABLE_FOR_MS,
      check: () => write().then(() => undefined, sayWhy),
    },
    {
      name: 'redis-memory',
      scope: 'system',
      forMs: FULL_FOR_MS,
      async check() {
        const { usedBytes, bytesMax } = await info();
        if (bytesMax === 0 || usedBytes < USED_SHARE_MAX * bytesMax) return undefined;
        return `Redis uses ${usedBytes} of ${bytesMax} bytes (maxmemory)`;
      },
    },
  ];
}

/** `OOM`, `READONLY`, `MISCONF`, `LOADING`: what Redis answers begins with a word for it. All else is about the connection. */
function sayWhy(error: unknown): string {
  const [, word] = /^([A-Z]{3,16})\b/.exec(errorMessage(error)) ?? [];
  return word === undefined ? 'Redis does not answer' : `Redis takes no writes: ${word}`;
}
