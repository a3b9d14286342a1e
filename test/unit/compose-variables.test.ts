import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { CONFIG_FIELDS } from '../../src/shared/config-fields.js';

const COMPOSE = readFileSync('docker-compose.yml', 'utf8');
const OVERRIDES = ['deploy/https.yml', 'deploy/demo.yml'].map((file) => readFileSync(file, 'utf8'));
const EXAMPLE = new Map(
  [...readFileSync('.env.example', 'utf8').matchAll(/^#([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(([, name, value]) => [
    name,
    value,
  ]),
);

const FIELDS = Object.values(CONFIG_FIELDS);
const NAMES = FIELDS.map(({ name }) => name);

/** Names of what a map of the compose file gives to the containers. */
function namesIn(start: string, end: string): readonly (string | undefined)[] {
  const part = COMPOSE.slice(COMPOSE.indexOf(start), COMPOSE.indexOf(end));
  return [...part.matchAll(/^ +([A-Z][A-Z0-9_]*):/gm)].map(([, name]) => name);
}

const PASSED_ON = namesIn('x-configuration:', 'services:');
/** A certificate is no secret, but it has many lines. */
const IN_FILES = [...FIELDS.filter(({ secret }) => secret).map(({ name }) => name), 'REDIS_TLS_CA'];

test('the ingress and the worker are given every variable that there is, secrets as files too, and no other', () => {
  expect(new Set(PASSED_ON)).toEqual(new Set([...NAMES, ...IN_FILES.map((name) => `${name}_FILE`)]));
});

test('.env.example has every variable of the product and of the compose files, and no other', () => {
  const used = [COMPOSE, ...OVERRIDES].flatMap((text) =>
    [...text.matchAll(/\$\{([A-Z][A-Z0-9_]*)/g)].map(([, name]) => name),
  );
  const ofCompose = ['COMPOSE_FILE', 'COMPOSE_PROFILES', 'TLS_OPTIONS'];

  expect(new Set(EXAMPLE.keys())).toEqual(new Set([...NAMES, ...PASSED_ON, ...used, ...ofCompose]));
});

test('.env.example tells the defaults as they are', () => {
  const plain = FIELDS.flatMap(({ name, fallback }) =>
    typeof fallback === 'string' || typeof fallback === 'number' ? [[name, `${fallback}`] as const] : [],
  );

  expect(plain.map(([name]) => [name, EXAMPLE.get(name)])).toEqual(plain);
});
