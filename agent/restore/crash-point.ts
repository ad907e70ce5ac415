/**
 * Named places where a test can have the agent killed, as a power cut would: nothing is flushed, nothing is unwound.
 * Armed by the environment alone: `REFLOAT_CRASH_AT=NAME` or, for sweeps, `REFLOAT_CRASH_AT=#N` for the N-th place passed;
 * `REFLOAT_CRASH_TRACE=FILE` appends the names in the order in which they are passed.
 */
import { appendFileSync } from 'node:fs';

const armed = process.env['REFLOAT_CRASH_AT'];
const trace = process.env['REFLOAT_CRASH_TRACE'];
let passed = 0;

/** Kills this process if a test asked for it; otherwise does nothing. */
export function crashPoint(name: string): void {
  if (armed === undefined && trace === undefined) return;
  passed += 1;
  if (trace !== undefined) appendFileSync(trace, `${name}\n`);
  if (armed === name || armed === `#${passed}`) process.kill(process.pid, 'SIGKILL');
}
