#!/usr/bin/env node
import { onPinnedNode } from '../../db/pinned-node.ts';
/** `refloat-agent`. As the archive's child process it loads nothing else: no engine, no database. */
import { runArchiveChild } from '../archive/run-child.ts';

if (onPinnedNode() && !runArchiveChild(process.argv)) {
  void import('./program.ts').then(({ runProgram }) => runProgram(process.argv));
}
