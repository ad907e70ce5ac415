#!/usr/bin/env node
import { onPinnedNode } from '../../db/pinned-node.ts';

/** `refloat-agent`. */

if (onPinnedNode()) {
  void import('./program.ts').then(({ runProgram }) => runProgram(process.argv));
}
