import path from 'node:path';
import { test } from 'node:test';
import type { Command } from 'commander';
import { program } from '../../../agent/cli/program.ts';
import { buildProgram } from '../../../functions/cli/program.ts';
import { assertGolden } from '../../helpers/golden.ts';

/** The help of a command and of everything below it. */
function helpOf(command: Command, above = ''): string {
  command.configureOutput({ getOutHelpWidth: () => 120 });
  const name = `${above}${command.name()}`;
  return [`# ${name}\n${command.helpInformation()}`, ...command.commands.map((each) => helpOf(each, `${name} `))].join(
    '\n',
  );
}

for (const [name, build] of [
  ['refloat', buildProgram],
  ['refloat-agent', program],
] as const)
  test(`what ${name} --help says of every command is what scripts and people were told`, () => {
    assertGolden(path.join(import.meta.dirname, `${name}-help.golden.txt`), helpOf(build()));
  });
