// Cheap, and true of every name that the patterns below match: most names are done with here.
const HINT = /auth|token|secret|passw|key|sid|refresh/i;

const SECRET_WORDS = [
  'token',
  'secret',
  'password',
  'passwd',
  'api_?key',
  'access_?key',
  'secret_?key',
  'private_?key',
  'session_?key',
  'authorization',
  'o?auth',
  'auth_?id',
  'refresh_?id',
  'auth_?code',
  'app_?sid',
  'sid',
].join('|');
const SECRET_NAME = new RegExp(`(?:^|_)(?:${SECRET_WORDS})s?$`);
// accesstoken, clientsecret: the words that also end a name without a separator before them.
const SECRET_ENDING = /(?:token|secret|password|sessid)s?[-_.]*\d*$/i;

/** Whether a field of this name holds a secret: `access_token`, `AUTH-ID`, `clientSecret`, `TOKEN_1`, `apiKeys`, … */
export function isSecretName(name: string): boolean {
  if (!HINT.test(name)) return false;
  return SECRET_ENDING.test(name) || SECRET_NAME.test(wordsOf(name));
}

/** In lower case, its words joined by `_`, without a number at its end. */
function wordsOf(name: string): string {
  return name.replace(CAMEL_HUMP, '$1_$2').toLowerCase().replace(SEPARATORS, '_').replace(NUMBER_AT_END, '');
}

const CAMEL_HUMP = /(\p{Ll}|\p{N})(\p{Lu})/gu;
const SEPARATORS = /[^\p{L}\p{N}]+/gu;
// The look behind lets a run of digits be tried once, not once from each of its digits.
const NUMBER_AT_END = /(?<![_\d])[_\d]+$/;
