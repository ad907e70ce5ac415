/** `refloat audit export` and `refloat audit verify [FILE]` */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { Command } from 'commander';
import { type AuditAnchor, verifyAuditLines } from '../../../db/audit-chain.ts';
import { RefloatError } from '../../../db/errors.ts';
import type { Api } from './api.ts';
import { type Answer, clientCommand, commandGroup, runClient } from './command.ts';
import { EXIT } from './exit-code.ts';

export function auditCommand(): Command {
  const group = commandGroup('audit', 'who did, or was refused, what');
  const exported: Command = clientCommand('export', 'write the audit to standard output as JSON lines, oldest first')
    .option('--after <seq>', 'only entries after this one', '0')
    .action(() =>
      runClient(exported, async ({ api }) => {
        let lines = 0;
        let isUnread = false;
        process.stdout.once('error', () => {
          isUnread = true;
        });
        for await (const line of linesOf(api, wholeNumber(exported.opts<{ after: string }>().after))) {
          process.stdout.write(`${line}\n`);
          lines++;
          if (isUnread) break;
        }
        return { json: { lines }, text: '', silent: true };
      }),
    );
  const verify: Command = clientCommand(
    'verify [file]',
    'check the chain of the audit, or of an export of it, hash by hash',
  )
    .option('--anchor <seq:hash...>', 'an end of the chain that was kept elsewhere')
    .action((file?: string) =>
      runClient(verify, async ({ api }) => {
        const anchors = (verify.opts<{ anchor?: string[] }>().anchor ?? []).map(anchorOf);
        return verdict(file === undefined ? linesOf(api, 0) : linesIn(file), anchors);
      }),
    );
  return group.addCommand(exported).addCommand(verify);
}

async function verdict(lines: AsyncIterable<string>, anchors: readonly AuditAnchor[]): Promise<Answer> {
  const { entries, broken, last } = await verifyAuditLines(lines, anchors);
  if (broken === null) {
    const anchor = last === null ? null : `${last.seq}:${last.hash}`;
    return {
      json: { entries, anchor },
      text: `${entries} entries, each in its place.${anchor === null ? '' : ` Keep this elsewhere, for the next time:\n${anchor}`}`,
    };
  }
  const message = `the audit is broken at entry ${broken.seq}: ${broken.why}`;
  const hint = 'Somebody with rights to the database changed it. Compare with an earlier export.';
  return {
    json: { entries, broken },
    text: `refloat: ${message} (AUDIT_BROKEN)\n  ${hint}`,
    exitCode: EXIT.refused,
    error: { code: 'AUDIT_BROKEN', message, hint },
  };
}

async function* linesOf(api: Api, after: number): AsyncGenerator<string> {
  const body = await api.stream(`/api/audit?format=jsonl&after=${after}`);
  yield* createInterface({ input: Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]) });
}

async function* linesIn(file: string): AsyncGenerator<string> {
  try {
    yield* createInterface({ input: createReadStream(file) });
  } catch (error) {
    throw new RefloatError('USAGE', `${file} cannot be read (${error instanceof Error ? error.message : 'unknown'})`, {
      hint: 'Give a file that `refloat audit export` wrote.',
    });
  }
}

function wholeNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new RefloatError('USAGE', `"${text}" is not the number of an entry`, { hint: 'Give a whole number.' });
}

function anchorOf(text: string): AuditAnchor {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text);
  if (match !== null) return { seq: Number(match[1]), hash: match[2] ?? '' };
  throw new RefloatError('USAGE', `"${text}" is not an anchor`, { hint: 'Give what `refloat audit verify` printed.' });
}
