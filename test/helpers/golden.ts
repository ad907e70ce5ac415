/** Texts that must not change unnoticed. `UPDATE_GOLDENS=1` writes them anew. */
import assert from 'node:assert/strict';
import fs from 'node:fs';

export function assertGolden(file: string, text: string): void {
  if (process.env['UPDATE_GOLDENS'] === '1') fs.writeFileSync(file, text);
  assert.equal(text, fs.readFileSync(file, 'utf8'), `${file} differs; if the change is meant: UPDATE_GOLDENS=1`);
}
