/**
 * The audit as JSON lines, oldest first, and the end of its chain as the last line.
 *
 * Guarantees: nothing of the database is held between two pages; the end is read before the entries, so that entries are
 * never fewer than it says.
 */
import { stream } from 'hono/streaming';
import { exportAudit } from '../db/queries/export-audit.ts';
import { readAuditHead } from '../db/queries/read-audit-head.ts';
import { withDatabase } from './database.ts';
import type { AppContext, AppDeps } from './deps.ts';

const PAGE = 1000;

export async function answerAuditLines(c: AppContext, deps: AppDeps, afterSeq: number): Promise<Response> {
  const head = await withDatabase(c, deps, readAuditHead);
  c.header('content-type', 'application/x-ndjson; charset=utf-8');
  c.header('content-disposition', 'attachment; filename="refloat-audit.jsonl"');
  return stream(c, async (lines) => {
    let seq = afterSeq;
    while (!lines.aborted && (head === null || seq < head.seq)) {
      const after = seq;
      const page = await withDatabase(c, deps, (db) => exportAudit(db, after, PAGE));
      const wanted = page.filter((entry) => head === null || entry.seq <= head.seq);
      if (wanted.length > 0) await lines.write(`${wanted.map((entry) => JSON.stringify(entry)).join('\n')}\n`);
      seq = page.at(-1)?.seq ?? seq;
      if (page.length < PAGE) break;
    }
    await lines.write(`${JSON.stringify({ head })}\n`);
  });
}
