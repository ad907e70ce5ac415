/**
 * A folder of archives with what a safe, faithful extractor does with each (`INDEX.tsv`, `_expected/`), if this machine has one.
 *
 * `REFLOAT_TARCORPUS` names it; else `../shared/tarcorpus` beside the repository. It is never copied into the repository.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { timesByLibarchive } from './archive-times.ts';
import type { TreeSnapshot } from './tree.ts';

export interface CorpusRow {
  readonly path: string;
  readonly expected: 'reject' | 'extract-safely';
  readonly strictness: string;
  readonly kind: string;
  readonly expectedTree: string;
}

export function corpusFolder(): string | null {
  const named = process.env['REFLOAT_TARCORPUS'];
  const folder = resolve(named ?? join(import.meta.dirname, '../../../shared/tarcorpus'));
  return existsSync(join(folder, 'INDEX.tsv')) ? folder : null;
}

/** Throws if an archive is not the one that the index means. */
export function readCorpus(folder: string): CorpusRow[] {
  const [head = '', ...lines] = readFileSync(join(folder, 'INDEX.tsv'), 'utf8').trimEnd().split('\n');
  const columns = head.split('\t');
  return lines.map((line) => {
    const cells = line.split('\t');
    const cell = (name: string): string => cells[columns.indexOf(name)] ?? '';
    const path = join(folder, cell('path'));
    const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
    if (digest !== cell('sha256')) throw new Error(`${cell('path')} is not the archive that the index means`);
    const expected = cell('expected');
    if (expected !== 'reject' && expected !== 'extract-safely') throw new Error(`unknown expectation ${expected}`);
    return {
      path: cell('path'),
      expected,
      strictness: cell('strictness'),
      kind: cell('cls'),
      expectedTree: cell('expected_tree'),
    };
  });
}

interface ExpectedEntry {
  readonly name_hex: string;
  readonly type: 'file' | 'dir' | 'symlink';
  readonly size: number;
  readonly sha256: string | null;
  readonly link_hex: string | null;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
}

const TYPES = { file: 'file', dir: 'directory', symlink: 'symlink' } as const;

/**
 * Differences between what the corpus expects and what is there, one per line. The corpus says nothing of times: libarchive does.
 * @param compared raised by the entries whose times could be compared
 */
export function compareWithCorpus(
  folder: string,
  row: CorpusRow,
  tree: TreeSnapshot,
  compared: { times: number },
): string[] {
  const { entries } = JSON.parse(readFileSync(join(folder, row.expectedTree), 'utf8')) as { entries: ExpectedEntry[] };
  const differences: string[] = [];
  const links = new Map<string, number>();
  for (const node of tree.values()) links.set(node.link, (links.get(node.link) ?? 0) + 1);
  const seen = new Set(['']);
  const times = timesByLibarchive(join(folder, row.path));
  const modesMayDrop = row.strictness === 'may-drop';
  for (const entry of entries) {
    const name = Buffer.from(entry.name_hex, 'hex').toString('latin1');
    seen.add(name);
    const node = tree.get(name);
    if (node === undefined) {
      differences.push(`${JSON.stringify(name)}: missing`);
      continue;
    }
    const check = (what: string, wanted: unknown, found: unknown): void => {
      if (wanted !== found)
        differences.push(`${JSON.stringify(name)}: ${what} should be ${String(wanted)}, is ${String(found)}`);
    };
    check('type', TYPES[entry.type], node.type);
    check('owner', `${entry.uid}:${entry.gid}`, `${node.uid}:${node.gid}`);
    const time = times?.get(name);
    // The names of one inode have one time, whatever each of them says. libarchive does not read global headers, and then says 0.
    if (time !== undefined && time !== 0n && links.get(node.link) === 1) {
      check('time', time, node.mtimeNs);
      compared.times += 1;
    }
    if (entry.type !== 'symlink') {
      const wanted = Number.parseInt(entry.mode.slice(2), 8);
      if (modesMayDrop) check('mode', (wanted & 0o777).toString(8), (node.mode & 0o777).toString(8));
      else check('mode', wanted.toString(8), node.mode.toString(8));
    }
    if (entry.type === 'symlink') check('target', entry.link_hex, node.content);
    if (entry.type !== 'file') continue;
    check('size', entry.size, node.size);
    check('content', entry.sha256, node.content);
    check('links', entry.nlink, links.get(node.link));
  }
  for (const name of tree.keys()) if (!seen.has(name)) differences.push(`${JSON.stringify(name)}: not expected`);
  return differences;
}
