/**
 * The framing of a .zst file, followed without decompressing, to know where it really ends.
 *
 * Guarantees: the file is whole frames and nothing else; no frame asks for a window of more than 64 MiB or for a dictionary.
 */
import { RefloatError } from '../../db/errors.ts';
import { refusal } from './refusal.ts';

const FRAME = 0xfd2fb528;
/** The decompressor holds all of it: with twice as much the process would need more than 256 MiB. */
const MAX_WINDOW = 64 * 1024 * 1024;

type State = 'magic' | 'skip-size' | 'descriptor' | 'frame-header' | 'block-header' | 'skip' | 'body' | 'checksum';

export class ZstdFrames {
  #state: State = 'magic';
  /** Header bytes that are still incomplete. */
  readonly #held = Buffer.alloc(16);
  #heldLength = 0;
  #wanted = 4;
  #remaining = 0;
  #lastBlock = false;
  #hasChecksum = false;
  #descriptor = 0;
  frames = 0;

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#state === 'skip' || this.#state === 'body') {
        const step = Math.min(this.#remaining, chunk.length - at);
        this.#remaining -= step;
        at += step;
        if (this.#remaining === 0) this.#afterBody();
        continue;
      }
      const step = Math.min(this.#wanted - this.#heldLength, chunk.length - at);
      chunk.copy(this.#held, this.#heldLength, at, at + step);
      this.#heldLength += step;
      at += step;
      if (this.#heldLength === this.#wanted) {
        this.#heldLength = 0;
        this.#header();
      }
    }
  }

  /** Call at the end of the file. */
  finish(): void {
    if (this.#state !== 'magic' || this.#heldLength > 0)
      throw refusal('ARCHIVE_TRUNCATED', 'truncated-compression', 'the compressed archive ends inside a zstd frame');
    if (this.frames === 0)
      throw refusal('ARCHIVE_TRUNCATED', 'truncated-compression', 'the compressed archive has no zstd frame');
  }

  #go(state: State, wanted: number): void {
    this.#state = state;
    this.#wanted = wanted;
  }

  #header(): void {
    const held = this.#held;
    switch (this.#state) {
      case 'magic': {
        const magic = held.readUInt32LE(0);
        if (magic === FRAME) this.#go('descriptor', 1);
        else if ((magic & 0xfffffff0) >>> 0 === 0x184d2a50) this.#go('skip-size', 4);
        else
          throw refusal(
            'ARCHIVE_REFUSED',
            'trailing-garbage',
            'something that is not zstd follows the compressed archive',
          );
        return;
      }
      case 'skip-size':
        this.#remaining = held.readUInt32LE(0);
        this.#go('skip', 0);
        if (this.#remaining === 0) this.#afterBody();
        return;
      case 'descriptor':
        this.#frameDescriptor();
        return;
      case 'frame-header':
        this.#frameHeader();
        this.frames += 1;
        this.#go('block-header', 3);
        return;
      case 'block-header': {
        const bits = held.readUIntLE(0, 3);
        this.#lastBlock = (bits & 1) === 1;
        const type = (bits >> 1) & 3;
        if (type === 3)
          throw refusal('ARCHIVE_CORRUPT', 'zstd-block', 'the compressed archive has a damaged zstd block');
        this.#remaining = type === 1 ? 1 : bits >> 3;
        this.#go('body', 0);
        if (this.#remaining === 0) this.#afterBody();
        return;
      }
      default:
        this.#go('magic', 4);
    }
  }

  #frameDescriptor(): void {
    const descriptor = this.#held[0] ?? 0;
    this.#descriptor = descriptor;
    this.#hasChecksum = (descriptor & 4) !== 0;
    if ((descriptor & 8) !== 0)
      throw refusal('ARCHIVE_CORRUPT', 'zstd-header', 'the compressed archive has a damaged zstd header');
    if ((descriptor & 3) !== 0)
      throw refusal('ARCHIVE_REFUSED', 'zstd-dictionary', 'the compressed archive needs a zstd dictionary');
    const single = (descriptor & 0x20) !== 0;
    const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
    this.#go('frame-header', sizeBytes + (single ? 0 : 1));
  }

  #frameHeader(): void {
    const single = (this.#descriptor & 0x20) !== 0;
    let window: number;
    if (single) {
      const code = this.#descriptor >> 6;
      window =
        code === 0
          ? (this.#held[0] ?? 0)
          : code === 1
            ? this.#held.readUInt16LE(0) + 256
            : code === 2
              ? this.#held.readUInt32LE(0)
              : Number(this.#held.readBigUInt64LE(0));
    } else {
      const byte = this.#held[0] ?? 0;
      const base = 2 ** (10 + (byte >> 3));
      window = base + (base / 8) * (byte & 7);
    }
    if (window > MAX_WINDOW)
      throw new RefloatError('ARCHIVE_LIMIT', 'the compressed archive needs a window of more than 64 MiB', {
        hint: 'Compress it again without --long, for example with "zstd -d" and then "zstd".',
        disposition: 'refuse',
        details: { rule: 'zstd-window' },
      });
  }

  #afterBody(): void {
    if (this.#state === 'skip') this.#go('magic', 4);
    else if (!this.#lastBlock) this.#go('block-header', 3);
    else if (this.#hasChecksum) this.#go('checksum', 4);
    else this.#go('magic', 4);
  }
}
