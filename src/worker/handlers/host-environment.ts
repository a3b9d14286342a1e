import { CONFIG_FIELDS } from '../../shared/config-fields.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Of whoever started the worker, by which a process finds the channel to its parent. */
const NOT_PASSED_ON: ReadonlySet<string> = new Set([
  'NODE_CHANNEL_FD',
  'NODE_CHANNEL_SERIALIZATION_MODE',
  'NODE_UNIQUE_ID',
]);

/** The environment for foreign code: that of the worker without the product's own secrets, and without the names of files with them. */
export function hostEnvironment(env: Environment): Record<string, string> {
  const passedOn = Object.entries(env).filter(([name]) => !NOT_PASSED_ON.has(name) && !isSecretVariable(name));
  return Object.fromEntries(passedOn.map(([name, value]) => [name, value ?? '']));
}

const SECRET_VARIABLES: ReadonlySet<string> = new Set([
  ...Object.values(CONFIG_FIELDS)
    .filter(({ secret }) => secret)
    .map(({ name }) => name),
  'DASHBOARD_PASSWORD',
]);

function isSecretVariable(name: string): boolean {
  return SECRET_VARIABLES.has(name.replace(/_FILE$/, ''));
}
