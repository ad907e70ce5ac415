#!/usr/bin/env node
/** `refloat-agent`. */
import { onPinnedNode } from '../../db/pinned-node.ts';
import { prepareProgram } from '../../db/program-start.ts';

if (onPinnedNode()) {
  prepareProgram();
  void import('./program.ts').then(({ runProgram }) => runProgram(process.argv));
}
