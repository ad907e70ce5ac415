/** A file that a person wrote. YAML is a superset of JSON, so that one parser reads both. */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { RefloatError } from '../../../db/errors.ts';

/** @param file path, or `-` for standard input. Throws `USAGE`. */
export async function readDocument(file: string): Promise<unknown> {
  const text = await readFile(file === '-' ? '/dev/stdin' : file, 'utf8').catch((cause: unknown) => {
    throw new RefloatError('USAGE', `${file} cannot be read`, {
      hint: 'Give the path of a JSON or YAML file, or - for standard input.',
      cause,
    });
  });
  try {
    return parse(text, { maxAliasCount: 0 }) as unknown;
  } catch (cause) {
    throw new RefloatError('USAGE', `${file} is neither JSON nor YAML: ${firstLine(cause)}`, {
      hint: 'Correct the file and try again.',
      cause,
    });
  }
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split('\n', 1)[0] ?? '';
}
