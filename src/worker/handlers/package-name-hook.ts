/** What `node:module` gives to a hook and takes from it; of both only what is used here. */
type NextResolve<Answer> = (specifier: string, context: unknown) => Answer;
type Resolve = <Answer>(
  specifier: string,
  context: unknown,
  next: NextResolve<Answer>,
) => Answer | { readonly url: string; readonly shortCircuit: true };

/** Modules of HANDLERS_DIR may stand anywhere, where no node_modules knows this package. */
const PACKAGE_NAME = 'bitrix24-event-worker';
const url = new URL('./define-handler.js', import.meta.url).href;

export const resolve: Resolve = (specifier, context, next) =>
  specifier === PACKAGE_NAME ? { url, shortCircuit: true } : next(specifier, context);
