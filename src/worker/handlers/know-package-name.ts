import nodeModule from 'node:module';
import { resolve } from './package-name-hook.js';

interface SynchronousHooks {
  registerHooks?(hooks: { readonly resolve: typeof resolve }): void;
}

/** Lets `import 'bitrix24-event-worker'` in this process mean our own `define-handler.js`, from wherever it is imported. */
export function knowPackageName(): void {
  // Newer than the types, which are those of the oldest Node.
  const newer = nodeModule as SynchronousHooks;
  if (newer.registerHooks) newer.registerHooks({ resolve });
  else nodeModule.register('./package-name-hook.js', import.meta.url);
}
