import { Option } from 'commander';
import { RefloatError } from '../../db/errors.ts';

const DEFAULT_PORT = '8787';

export function portOption(): Option {
  return new Option('--port <n>', 'port of API and console; 0 takes any free one (REFLOAT_PORT, or 8787)');
}

export function hostOption(): Option {
  return new Option('--host <address>', 'address to listen on').default('127.0.0.1');
}

/** Throws `USAGE`. */
export function parsePort(given: string | undefined): number {
  const text = given ?? (process.env['REFLOAT_PORT'] || DEFAULT_PORT);
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new RefloatError('USAGE', `"${text}" is not a port`, { hint: 'Give a number from 0 to 65535.' });
}
