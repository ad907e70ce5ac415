#!/usr/bin/env node
/** `refloat`. */
import { onPinnedNode } from '../../db/pinned-node.ts';

if (onPinnedNode()) void import('./program.ts').then(({ run }) => run(process.argv.slice(2)));
