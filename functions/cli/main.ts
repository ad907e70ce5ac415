#!/usr/bin/env node
/** `refloat`. */
import { onPinnedNode } from '../../db/pinned-node.ts';
import { prepareProgram } from '../../db/program-start.ts';

if (onPinnedNode()) {
  prepareProgram();
  void import('./program.ts').then(({ run }) => run(process.argv.slice(2)));
}
