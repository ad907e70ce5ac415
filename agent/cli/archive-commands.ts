/** The three commands of the host's program that need neither database nor engine. */
import type { Command } from 'commander';
import { addPackCommand } from './pack.ts';
import { addUnpackCommand } from './unpack.ts';
import { addVerifyCommand } from './verify.ts';

export function addArchiveCommands(program: Command): void {
  addPackCommand(program);
  addUnpackCommand(program);
  addVerifyCommand(program);
}
