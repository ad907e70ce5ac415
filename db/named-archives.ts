/** The archives of an import as both command lines take them: `FILE…`, `--volume NAME=FILE`, `--inside NAME=PATH`. */
import { RefloatError } from './errors.ts';

export interface NamedArchive {
  readonly file: string;
  readonly volume?: string;
  readonly inside?: string;
}

/** @throws RefloatError `USAGE` */
export function namedArchives(
  files: readonly string[],
  volumes: readonly string[],
  insides: readonly string[],
): NamedArchive[] {
  const inside = new Map(insides.map((text) => pair('--inside', text)));
  const named = volumes.map((text): NamedArchive => {
    const [volume, file] = pair('--volume', text);
    return { file, volume, ...part(inside, volume) };
  });
  // One file, and where its volumes lie in it.
  const [only] = files;
  if (files.length === 1 && only !== undefined && inside.size > 0)
    named.push(...[...inside.keys()].map((volume) => ({ file: only, volume, ...part(inside, volume) })));
  else named.push(...files.map((file) => ({ file })));
  const [left] = inside.keys();
  if (left !== undefined)
    throw usage(`--inside ${left}=… is of a volume that no archive is named for`, `Add --volume ${left}=FILE.`);
  if (named.length === 0) throw usage('no archive is named', 'Name the archives, or use --volume NAME=FILE.');
  return named;
}

/** Takes the volume's entry out, so that what nobody asked for remains. */
function part(inside: Map<string, string>, volume: string): { readonly inside?: string } {
  const path = inside.get(volume);
  inside.delete(volume);
  return path === undefined ? {} : { inside: path };
}

function pair(option: string, text: string): readonly [name: string, value: string] {
  const equals = text.indexOf('=');
  if (equals > 0 && equals < text.length - 1) return [text.slice(0, equals), text.slice(equals + 1)];
  throw usage(`${option} needs NAME=VALUE, not "${text}"`, `For example ${option} data=backup.tar.gz`);
}

function usage(message: string, hint: string): RefloatError {
  return new RefloatError('USAGE', message, { hint });
}
