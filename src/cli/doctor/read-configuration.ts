import { ConfigError, loadConfig, type Config } from '../../shared/config.js';

export interface ReadConfiguration {
  /** As if the variables that are wrong were not set. */
  readonly config: Config;
  /** Empty where all is as it should be. */
  readonly problems: readonly string[];
  /** Variables that were left out, and so must not be looked at any further. */
  readonly wrong: ReadonlySet<string>;
}

/** What can be read of a configuration with which no process would start. */
export function readConfiguration(env: NodeJS.ProcessEnv): ReadConfiguration {
  const wrong = new Set<string>();
  let problems: readonly string[] | undefined;
  // One that is left out may be missed by another one, which is then left out too: each turn leaves out more, and none are enough.
  for (let left = env; ;) {
    try {
      return { config: loadConfig(left), problems: problems ?? [], wrong };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems ??= error.problems;
      const before = wrong.size;
      for (const name of error.variables) wrong.add(name);
      left = wrong.size > before ? without(left, wrong) : {};
    }
  }
}

function without(env: NodeJS.ProcessEnv, names: ReadonlySet<string>): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !names.has(name.replace(/_FILE$/, ''))));
}
