#!/usr/bin/env node
/** `refloat-agent`. As the archive's child process it loads nothing else: no engine, no database. */
import { runArchiveChild } from '../archive/run-child.ts';
import { onPinnedNode } from './pinned-node.ts';

if (onPinnedNode() && !runArchiveChild(process.argv)) {
  void import('./program.ts').then(({ runProgram }) => runProgram(process.argv));
}
