/**
 * Finds secrets in what tests and programs wrote.
 *
 * Guarantees: says which kind was found and on which line of what, never the secret itself; a secret that is cut in two by the
 * chunks of a stream is found.
 * Does not guarantee: to know a secret without a form of its own, unless it was registered as a canary.
 */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where helpers put the secrets that they made, and the logs of the programs that they started. */
const DIRECTORY = process.env['REFLOAT_TEST_CANARIES'];

const KINDS: readonly (readonly [string, RegExp])[] = [
  ['a token', /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}/],
  // Not the one that hints show as a pattern.
  [
    'a connection string with a password',
    /\bpostgres(?:ql)?:\/\/(?!user:password@host)[^\s:/"'@[\]]+:[^\s@/"'[\]]{8,}@/,
  ],
  ['the private part of a key', /\\?"d\\?"\s*:\s*\\?"[\w-]{40,}/],
  ['a password verifier', /SCRAM-SHA-256\$\d+:[\w+/=]{16,}/],
  ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----/],
];

export interface Leak {
  readonly source: string;
  readonly line: number;
  readonly kind: string;
}

/** From now on this very text is a secret, whatever its form. */
export function registerCanary(secret: string | undefined): void {
  if (DIRECTORY !== undefined && secret !== undefined && secret.length >= 16)
    appendFileSync(join(DIRECTORY, 'canaries'), `${secret}\n`, { mode: 0o600 });
}

/** What a program wrote to its log, for the scan at the end of the run. */
export function keepLog(program: string, text: string): void {
  if (DIRECTORY !== undefined) appendFileSync(join(DIRECTORY, `${program}-${process.pid}.log`), text);
}

export function findLeaks(source: string, text: string, canaries: ReadonlySet<string>): Leak[] {
  const leaks: Leak[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    for (const [kind, pattern] of KINDS) if (pattern.test(line)) leaks.push({ source, line: index + 1, kind });
    for (const word of line.match(/[\w-]{16,}/g) ?? [])
      if (canaries.has(word)) leaks.push({ source, line: index + 1, kind: 'a secret that a test made' });
  }
  return leaks;
}

/** Everything that helpers kept in `directory`, and what the run itself wrote. */
export function scanRun(directory: string, output: string): Leak[] {
  const names = readdirSync(directory);
  const canaries = new Set(
    names.includes('canaries')
      ? readFileSync(join(directory, 'canaries'), 'utf8')
          .split('\n')
          .filter((each) => each !== '')
      : [],
  );
  const logs = names.filter((name) => name.endsWith('.log'));
  return [
    ...findLeaks('the output of the run', output, canaries),
    ...logs.flatMap((name) => findLeaks(name, readFileSync(join(directory, name), 'utf8'), canaries)),
  ];
}
