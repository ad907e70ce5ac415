/**
 * Runs a command behind the archive's second wall: `walled.ts WRITABLE COMMAND [ARGS]`. Prints what does not stand to stderr.
 * No device works there, /dev/null included.
 */
import { spawnSync } from 'node:child_process';
import { enterWall } from '../../agent/archive/wall.ts';

const [writable = '', command = '', ...args] = process.argv.slice(2);
const missing = enterWall({ writable, trustedAttributes: false });
for (const sentence of missing) process.stderr.write(`${sentence}\n`);
const { status } = spawnSync(command, args, { stdio: 'inherit' });
process.exitCode = status ?? 1;
