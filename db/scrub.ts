/**
 * Takes secrets out of a text before it is logged: the last wall behind code that never hands one to a log.
 *
 * Guarantees: no JWT, no private part of a key, no password of a connection string and no password verifier is left.
 * Does not guarantee: to know a secret without a form of its own, such as a bare one-time secret.
 */

const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/\beyJ[\w-]{8,}\.[\w-]*\.[\w-]*/g, '[token]'],
  [/\b(postgres(?:ql)?:\/\/)[^\s"'@/]+@/gi, '$1[login]@'],
  [/((?:\\?")d\\?"\s*:\s*\\?")[\w-]{20,}/g, '$1[key]'],
  [/SCRAM-SHA-256\$[\w+/=:$]+/g, '[verifier]'],
  [/\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi, '$1 [credential]'],
  [/((?:__Host-refloat\w*|refloat_session)=)[^;\s"]+/g, '$1[cookie]'],
  [/(\/sign-in#)[\w-]+/g, '$1[secret]'],
];

export function scrub(text: string): string {
  return PATTERNS.reduce((rest, [pattern, instead]) => rest.replace(pattern, instead), text);
}

/** Members that are never logged, whatever they hold; for pino's `redact`. */
export const SECRET_MEMBERS: readonly string[] = [
  'token',
  'secret',
  'password',
  'authorization',
  'cookie',
  'databaseUrl',
  'signingKeys',
].flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);
