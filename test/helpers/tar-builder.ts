/** Builds tar archives byte by byte, as wrong as a test wants them. Shares no code with the archive that it attacks. */

export interface RawEntry {
  readonly name?: string | Buffer;
  readonly type?: string;
  readonly linkName?: string | Buffer;
  readonly body?: Buffer | string;
  /** Instead of the body's length. */
  readonly size?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  /** `ustar` unless given. */
  readonly magic?: 'ustar' | 'gnu' | 'v7';
  readonly prefix?: string;
  /** Bytes written over the finished header before (`true`) or after the checksum is taken. */
  readonly patch?: readonly {
    readonly at: number;
    readonly bytes: Buffer | string;
    readonly afterChecksum?: boolean;
  }[];
}

export const END = Buffer.alloc(1024);
const latin1 = (value: string | Buffer): Buffer => (typeof value === 'string' ? Buffer.from(value, 'latin1') : value);
const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`;

export function entry(raw: RawEntry): Buffer {
  const body = latin1(raw.body ?? '');
  const block = Buffer.alloc(512);
  latin1(raw.name ?? 'file').copy(block, 0, 0, 100);
  block.write(octal(raw.mode ?? 0o644, 7), 100, 'latin1');
  block.write(octal(raw.uid ?? 0, 7), 108, 'latin1');
  block.write(octal(raw.gid ?? 0, 7), 116, 'latin1');
  block.write(octal(raw.size ?? body.length, 11), 124, 'latin1');
  block.write(octal(raw.mtime ?? 1000, 11), 136, 'latin1');
  block.write(raw.type ?? '0', 156, 'latin1');
  latin1(raw.linkName ?? '').copy(block, 157, 0, 100);
  const magic = { ustar: 'ustar\x0000', gnu: 'ustar  \0', v7: '' }[raw.magic ?? 'ustar'];
  block.write(magic, 257, 'latin1');
  if (raw.prefix !== undefined) block.write(raw.prefix, 345, 'latin1');
  for (const { at, bytes, afterChecksum } of raw.patch ?? []) if (afterChecksum !== true) latin1(bytes).copy(block, at);
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  for (const { at, bytes, afterChecksum } of raw.patch ?? []) if (afterChecksum === true) latin1(bytes).copy(block, at);
  return Buffer.concat([block, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

export const paxRecord = (key: string, value: string | Buffer): Buffer => {
  const content = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), latin1(value), Buffer.from('\n')]);
  let length = content.length + 1;
  while (String(length).length + content.length !== length) length = String(length).length + content.length;
  return Buffer.concat([Buffer.from(String(length)), content]);
};

/** A pax header for the next entry. */
export const pax = (records: Readonly<Record<string, string | Buffer>>, type = 'x'): Buffer =>
  entry({
    name: 'PaxHeaders/x',
    type,
    body: Buffer.concat(Object.entries(records).map(([key, value]) => paxRecord(key, value))),
  });

/** A GNU long name (`L`) or long link (`K`) for the next entry. */
export const long = (type: 'L' | 'K', value: string | Buffer): Buffer =>
  entry({ name: '././@LongLink', type, magic: 'gnu', body: Buffer.concat([latin1(value), Buffer.alloc(1)]) });

export const tar = (...parts: readonly Buffer[]): Buffer => Buffer.concat([...parts, END]);
