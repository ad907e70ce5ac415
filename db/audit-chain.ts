/**
 * Checks an exported audit, entry by entry, without the database that wrote it.
 *
 * Guarantees: finds a changed, removed, added or moved entry, and an end that was cut off behind the one that the export, or an
 * anchor that somebody kept, names.
 * Does not guarantee: anything against who can rewrite all of it, unless an anchor was kept where they cannot.
 */

export interface AuditAnchor {
  readonly seq: number;
  readonly hash: string;
}

export interface AuditVerdict {
  /** Entries that were read. */
  readonly entries: number;
  readonly firstSeq: number | null;
  readonly last: AuditAnchor | null;
  /** The first thing that does not fit; null if everything does. */
  readonly broken: { readonly seq: number; readonly why: string } | null;
}

const GENESIS = '0'.repeat(64);
/** What the hash covers, in the order of the hashed text, after the previous hash. */
const MEMBERS = ['seq', 'at', 'actor', 'action', 'target', 'outcome', 'code', 'details', 'requestId'] as const;

/**
 * @param lines JSON lines as `refloat audit export` writes them; the last one may be `{"head":…}`
 * @param anchors ends of the chain that were kept elsewhere
 */
export async function verifyAuditLines(
  lines: AsyncIterable<string> | Iterable<string>,
  anchors: readonly AuditAnchor[] = [],
): Promise<AuditVerdict> {
  const expected = new Map(anchors.map((anchor) => [anchor.seq, anchor.hash]));
  const begun = { entries: 0, firstSeq: null as number | null, last: null as AuditAnchor | null };
  const broken = (seq: number, why: string): AuditVerdict => ({ ...begun, broken: { seq, why } });
  for await (const line of lines) {
    if (line.trim() === '') continue;
    const entry = parsed(line);
    if (entry === undefined) return broken((begun.last?.seq ?? 0) + 1, 'the line is not an entry');
    if ('head' in entry) {
      const head = entry['head'] as AuditAnchor | null;
      if (head === null) return broken((begun.last?.seq ?? 0) + 1, 'the end of the chain is gone');
      expected.set(head.seq, head.hash);
      continue;
    }
    const seq = Number(entry['seq']);
    const why = await misfit(entry, begun.last, expected.get(seq));
    if (why !== undefined) return broken(seq, why);
    begun.entries++;
    begun.firstSeq ??= seq;
    begun.last = { seq, hash: String(entry['hash']) };
  }
  const end = begun.last?.seq ?? 0;
  const missing = [...expected.keys()].filter((seq) => seq > end);
  if (missing.length > 0) return broken(end + 1, `the end was cut off: there was an entry ${Math.max(...missing)}`);
  for (const [seq, hash] of expected)
    if (seq === end && (begun.last?.hash ?? GENESIS) !== hash)
      return broken(seq, 'the last entry is not the one that was the end');
  return { ...begun, broken: null };
}

async function misfit(
  entry: Readonly<Record<string, unknown>>,
  last: AuditAnchor | null,
  anchor: string | undefined,
): Promise<string | undefined> {
  const { hashed, hash, prevHash, seq } = entry;
  if (typeof hashed !== 'string') return 'the line lacks what its hash is of';
  if ((await sha256(hashed)) !== hash) return 'the entry was changed: its hash is of something else';
  const [before, ...values] = JSON.parse(hashed) as unknown[];
  if (before !== prevHash) return 'the entry was changed: its previous hash is another';
  for (const [index, member] of MEMBERS.entries()) {
    const [told, meant] = [entry[member], values[index]];
    const same = member === 'at' ? sameTime(String(told), String(meant)) : canonical(told) === canonical(meant);
    if (!same) return `the entry was changed: ${member} is not what its hash is of`;
  }
  if (last !== null && Number(seq) !== last.seq + 1)
    return `an entry is missing, added or out of order after ${last.seq}`;
  if (last !== null && prevHash !== last.hash) return 'the entry does not continue the one before it';
  if (last === null && Number(seq) === 1 && prevHash !== GENESIS) return 'the first entry continues another one';
  if (anchor !== undefined && anchor !== hash) return 'the entry is not the one that was the end of the chain';
  return undefined;
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** `2026-01-01T00:00:00.123456Z` and `1767225600.123456`. */
function sameTime(iso: string, epoch: string): boolean {
  const [, seconds, micros] = /^(.*)\.(\d{6})Z$/.exec(iso) ?? [];
  if (seconds === undefined || micros === undefined) return false;
  const [whole, fraction = ''] = epoch.split('.');
  return Date.parse(`${seconds}Z`) / 1000 === Number(whole) && fraction.padEnd(6, '0') === micros;
}

function canonical(value: unknown): string {
  return JSON.stringify(value ?? null, (_key, member: unknown) =>
    member !== null && typeof member === 'object' && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
