/** A host that was copied has other inodes than the journal of its restore says; then this is what the journal would say. */
import { readFileSync, writeFileSync } from 'node:fs';
import { identify } from '../../agent/fs/durable.ts';
import { crc32c } from '../../agent/restore/crc32c.ts';
import type { Exchange } from '../../agent/restore/facts.ts';
import { readRecords } from '../../agent/restore/journal.ts';
import { journalPath } from '../../agent/restore/journal-dir.ts';

export function writeInodesAnew(stateDir: string, intentId: string): void {
  const path = journalPath(stateDir, intentId);
  const { records } = readRecords(readFileSync(path), path, intentId);
  const lines = records.map((record) => {
    const isExchanges = record.type === 'note' && record.name === 'exchanges';
    const anew = isExchanges ? { ...record, fact: (record.fact as Exchange[]).map(withInodesOf) } : record;
    const body = JSON.stringify(anew);
    return `{"crc":"${crc32c(Buffer.from(body))}",${body.slice(1)}\n`;
  });
  writeFileSync(path, lines.join(''));
}

/** As after the swap: what was live is staged. */
function withInodesOf(exchange: Exchange): Exchange {
  const at = (directory: string, name: string | null) =>
    identify(name === null ? directory : Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name, 'base64')]));
  const names = exchange.names.map(({ name }) => ({
    name,
    old: at(exchange.staging, name),
    new: at(exchange.live, name),
  }));
  return { ...exchange, names };
}
