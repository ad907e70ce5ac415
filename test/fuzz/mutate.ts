/** Changes bytes as an attacker would: anywhere, and where a tar is read, with checksums and lengths put right again. */
import type { Random } from './random.ts';

const BLOCK = 512;
/** Offset and length of the fields of a header. */
const FIELDS = [
  [0, 100],
  [100, 8],
  [108, 8],
  [116, 8],
  [124, 12],
  [136, 12],
  [156, 1],
  [157, 100],
  [257, 8],
  [345, 155],
  [386, 96],
  [482, 1],
  [483, 12],
] as const;
const WORDS = [
  '../',
  '/',
  './',
  '\0',
  '..',
  'a',
  '0',
  '7',
  '-1',
  '4294967295',
  '9007199254740993',
  '18446744073709551616',
  '00000000000\0',
  '77777777777\0',
  '\x80\0\0\0\0\0\0\0\0\0\0\0',
  '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff',
  'ustar\x0000',
  'ustar  \0',
  'tar\0',
  '20 path=../../secret\n',
  '6 a=b\n',
  '12 size=100\n',
  '30 SCHILY.xattr.user.a=xxxxxx\n',
  '22 GNU.sparse.major=1\n',
  '22 GNU.sparse.minor=0\n',
  '27 GNU.sparse.realsize=100\n',
  '25 GNU.sparse.map=0,1,2,3\n',
  '20 mtime=-0.0000001\n',
  '18 linkpath=/etc/\n',
  'path',
  '=',
  '\n',
] as const;
const TYPES = '\x000123456789xgLKSDVAXMNQ';
const MAX_BYTES = 16_384;

/** One to eight changes of a copy. @param others what parts are taken from */
export function mutate(input: Buffer, others: readonly Buffer[], random: Random, archive: boolean): Buffer {
  let bytes: Buffer = Buffer.from(input);
  for (let count = 1 + random.below(random.below(4) === 0 ? 8 : 2); count > 0; count -= 1)
    bytes =
      archive && random.below(2) === 0 ? changeArchive(bytes, others, random) : changeBytes(bytes, others, random);
  if (archive && random.below(8) !== 0) repair(bytes);
  return bytes.length > MAX_BYTES ? bytes.subarray(0, MAX_BYTES) : bytes;
}

function changeBytes(bytes: Buffer, others: readonly Buffer[], random: Random): Buffer {
  const at = random.below(bytes.length + 1);
  const length = Math.min(1 + random.below(random.below(3) === 0 ? 64 : 4), bytes.length - at);
  switch (random.below(9)) {
    case 0:
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = random.next();
      return bytes;
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at)]);
    case 4: {
      const word = Buffer.from(random.pick(WORDS), 'latin1');
      word.copy(bytes, at);
      return bytes;
    }
    case 5:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(random.pick(WORDS), 'latin1'), bytes.subarray(at)]);
    case 6: {
      const other = random.pick(others);
      const from = random.below(other.length + 1);
      other.copy(bytes, at, from, from + length);
      return bytes;
    }
    case 7:
      return changeDigit(bytes, random);
    default:
      return bytes.subarray(0, random.below(4) === 0 ? at : bytes.length);
  }
}

/** Digits are lengths, sizes and offsets: changed by a little. */
function changeDigit(bytes: Buffer, random: Random): Buffer {
  const start = random.below(bytes.length + 1);
  for (let at = start; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x30 || byte > 0x39) continue;
    bytes[at] = 0x30 + random.below(10);
    return bytes;
  }
  return bytes;
}

function changeArchive(bytes: Buffer, others: readonly Buffer[], random: Random): Buffer {
  const blocks = Math.floor(bytes.length / BLOCK);
  const block = random.below(blocks + 1) * BLOCK;
  switch (random.below(6)) {
    case 0: {
      const [offset, length] = random.pick(FIELDS);
      const word = Buffer.from(random.pick(WORDS), 'latin1').subarray(0, length);
      word.copy(bytes, block + offset);
      return bytes;
    }
    case 1:
      if (block + 156 < bytes.length) bytes[block + 156] = TYPES.charCodeAt(random.below(TYPES.length));
      return bytes;
    case 2:
      return Buffer.concat([bytes.subarray(0, block), bytes.subarray(block + BLOCK)]);
    case 3: {
      const from = random.below(blocks + 1) * BLOCK;
      const some = BLOCK * (1 + random.below(3));
      return Buffer.concat([bytes.subarray(0, block), bytes.subarray(from, from + some), bytes.subarray(block)]);
    }
    case 4: {
      const other = random.pick(others);
      const from = random.below(Math.floor(other.length / BLOCK) + 1) * BLOCK;
      const some = BLOCK * (1 + random.below(4));
      return Buffer.concat([bytes.subarray(0, block), other.subarray(from, from + some), bytes.subarray(block)]);
    }
    default:
      return repairPax(bytes, random);
  }
}

/** A record of some pax body gets other text, and the lengths that go with it. */
function repairPax(bytes: Buffer, random: Random): Buffer {
  for (
    let at = random.below(Math.floor(bytes.length / BLOCK) + 1) * BLOCK;
    at + 2 * BLOCK <= bytes.length;
    at += BLOCK
  ) {
    const type = bytes[at + 156];
    if (type !== 0x78 && type !== 0x67) continue;
    const body = bytes.subarray(at + BLOCK, at + 2 * BLOCK);
    const end = body.indexOf(0);
    const lines = body
      .toString('latin1', 0, end < 0 ? BLOCK : end)
      .split('\n')
      .map((line) => line.replace(/^[0-9]+ /, ''));
    const line = random.below(lines.length);
    const word = random.pick(WORDS).replace(/^[0-9]+ |\n/g, '');
    lines[line] = random.below(2) === 0 ? word : `${(lines[line] ?? '').split('=')[0]}=${word}`;
    const text = lines
      .filter((each) => each.includes('='))
      .map(record)
      .join('');
    if (text.length > BLOCK) return bytes;
    body.fill(0);
    body.write(text, 'latin1');
    bytes.write(`${text.length.toString(8).padStart(11, '0')}\0`, at + 124, 'latin1');
    return bytes;
  }
  return bytes;
}

function record(content: string): string {
  let length = content.length + 3;
  while (String(length).length + content.length + 2 !== length) length = String(length).length + content.length + 2;
  return `${length} ${content}\n`;
}

/** Right checksums for everything that looks like a header. */
function repair(bytes: Buffer): void {
  for (let at = 0; at + BLOCK <= bytes.length; at += BLOCK) {
    if (bytes.toString('latin1', at + 257, at + 262) !== 'ustar') continue;
    bytes.fill(0x20, at + 148, at + 156);
    let sum = 0;
    for (let index = at; index < at + BLOCK; index += 1) sum += bytes[index] ?? 0;
    bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
  }
}
