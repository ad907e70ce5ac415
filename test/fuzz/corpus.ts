/**
 * Inputs that earlier runs found to reach something new: one file per target, each line an input in base64, all of it compressed,
 * since archives are mostly zeros.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { TARGETS } from './targets.ts';

const pathOf = (name: keyof typeof TARGETS): string =>
  join(import.meta.dirname, '../agent/archive/fuzz-corpus', `${name}.base64.zst`);

export function readCorpus(name: keyof typeof TARGETS): Buffer[] {
  const lines = zstdDecompressSync(readFileSync(pathOf(name)))
    .toString('latin1')
    .split('\n')
    .slice(0, -1);
  return lines.map((line) => Buffer.from(line, 'base64'));
}

/** Returns the bytes on disk. */
export function writeCorpus(name: keyof typeof TARGETS, inputs: readonly Buffer[]): number {
  const text = inputs.map((input) => `${input.toString('base64')}\n`).join('');
  const bytes = zstdCompressSync(text, { params: { [constants.ZSTD_c_compressionLevel]: 19 } });
  writeFileSync(pathOf(name), bytes);
  return bytes.length;
}
