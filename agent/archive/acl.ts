/**
 * POSIX ACLs between their text form (`SCHILY.acl.*`, as GNU tar and bsdtar write it) and the kernel's attribute value.
 *
 * Guarantees: numeric ids decide; names are never looked up on this host, where they may mean someone else.
 */
const TAGS: Readonly<Record<string, readonly [own: number, named: number]>> = {
  user: [0x01, 0x02],
  group: [0x04, 0x08],
  mask: [0x10, 0x10],
  other: [0x20, 0x20],
};
const NO_ID = 0xffffffff;

/** Value of `system.posix_acl_*`; null when malformed or when an entry names someone without a numeric id. */
export function parseAclText(text: string): Buffer | null {
  const entries: { tag: number; perm: number; id: number }[] = [];
  for (const part of text.split(/[\n,]/)) {
    const entry = part.replace(/#.*$/, '').trim();
    if (entry === '') continue;
    const match =
      /^(user|u|group|g|mask|m|other|o):([^:]*):([r-][w-][x-])(?::([0-9]{1,10}))?$/.exec(entry) ??
      /^(mask|other|m|o)()::?([r-][w-][x-])()$/.exec(entry);
    if (match === null) return null;
    const kind = { u: 'user', g: 'group', m: 'mask', o: 'other' }[match[1] ?? ''] ?? match[1] ?? '';
    const tags = TAGS[kind];
    if (tags === undefined) return null;
    const letters = match[3] ?? '';
    const perm = (letters[0] === 'r' ? 4 : 0) + (letters[1] === 'w' ? 2 : 0) + (letters[2] === 'x' ? 1 : 0);
    const name = match[2] ?? '';
    if (name === '') {
      entries.push({ tag: tags[0], perm, id: NO_ID });
      continue;
    }
    const digits = match[4] ?? name;
    const id = /^[0-9]{1,10}$/.test(digits) ? Number(digits) : Number.NaN;
    if (!(id <= 4_294_967_294) || tags[0] === tags[1]) return null;
    entries.push({ tag: tags[1], perm, id });
  }
  if (entries.length === 0) return null;
  entries.sort((a, b) => a.tag - b.tag || a.id - b.id);
  const value = Buffer.alloc(4 + entries.length * 8);
  value.writeUInt32LE(2, 0);
  entries.forEach(({ tag, perm, id }, index) => {
    value.writeUInt16LE(tag, 4 + index * 8);
    value.writeUInt16LE(perm, 6 + index * 8);
    value.writeUInt32LE(id, 8 + index * 8);
  });
  return value;
}

/** The text form, ids as numbers in both places; null when the value is not version 2. */
export function formatAclText(value: Buffer): string | null {
  if (value.length < 4 || (value.length - 4) % 8 !== 0 || value.readUInt32LE(0) !== 2) return null;
  const parts: string[] = [];
  for (let at = 4; at < value.length; at += 8) {
    const tag = value.readUInt16LE(at);
    const perm = value.readUInt16LE(at + 2);
    const letters = `${(perm & 4) === 0 ? '-' : 'r'}${(perm & 2) === 0 ? '-' : 'w'}${(perm & 1) === 0 ? '-' : 'x'}`;
    const found = Object.entries(TAGS).find(([, tags]) => tags.includes(tag));
    if (found === undefined) return null;
    const named = tag === 0x02 || tag === 0x08;
    const id = value.readUInt32LE(at + 4);
    parts.push(named ? `${found[0]}:${id}:${letters}:${id}` : `${found[0]}::${letters}`);
  }
  return parts.join(',');
}
