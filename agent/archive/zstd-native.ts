/**
 * The zstd that Node carries inside itself, called without the streams around it: a block goes in whole and a frame comes out whole.
 *
 * Guarantees: a frame has a checksum; the work is done on the thread pool.
 * Does not guarantee: to be there. `nativeZstd` is null for a Node that does not export its zstd; node:zlib does the same more slowly.
 */
import koffi from 'koffi';

const C_COMPRESSION_LEVEL = 100;
const C_CHECKSUM_FLAG = 201;

type Pointer = unknown;

interface Zstd {
  createCCtx(): Pointer;
  freeCCtx(context: Pointer): number;
  setParameter(context: Pointer, parameter: number, value: number): number;
  readonly compress: {
    (context: Pointer, out: Buffer, outBytes: number, block: Buffer, bytes: number): number;
    async(...args: unknown[]): void;
  };
  isError(code: number): number;
}

function load(): Zstd | null {
  try {
    const library = koffi.load(null);
    return {
      createCCtx: library.func('void *ZSTD_createCCtx()') as unknown as Zstd['createCCtx'],
      freeCCtx: library.func('size_t ZSTD_freeCCtx(void *)') as unknown as Zstd['freeCCtx'],
      setParameter: library.func('size_t ZSTD_CCtx_setParameter(void *, int, int)') as unknown as Zstd['setParameter'],
      compress: library.func(
        'size_t ZSTD_compress2(void *, void *, size_t, const void *, size_t)',
      ) as unknown as Zstd['compress'],
      isError: library.func('unsigned int ZSTD_isError(size_t)') as unknown as Zstd['isError'],
    };
  } catch {
    return null;
  }
}

export const nativeZstd = load();

/** Room that any block of `bytes` finds enough for its frame: what does not compress takes a 256th more. */
export const frameBound = (bytes: number): number => bytes + (bytes >> 8) + 65_536;

export class NativeCompressor {
  readonly #zstd: Zstd;
  readonly #context: Pointer;
  readonly #maxBytes: number;
  #out: Buffer | null = null;

  /** @param maxBytes of a block */
  constructor(zstd: Zstd, maxBytes: number) {
    this.#zstd = zstd;
    this.#context = zstd.createCCtx();
    zstd.setParameter(this.#context, C_CHECKSUM_FLAG, 1);
    this.#maxBytes = maxBytes;
  }

  /** One frame, valid until the next call. */
  async frame(block: Buffer, level: number): Promise<Buffer> {
    this.#out ??= Buffer.allocUnsafeSlow(frameBound(this.#maxBytes));
    const out = this.#out;
    this.#zstd.setParameter(this.#context, C_COMPRESSION_LEVEL, level);
    const length = await new Promise<number>((resolve, reject) => {
      const { compress } = this.#zstd;
      compress.async(this.#context, out, out.length, block, block.length, (error: Error | null, result: number) =>
        error === null ? resolve(result) : reject(error),
      );
    });
    return out.subarray(0, this.#checked(length));
  }

  /** The same on the calling thread, into `out`, which has room for it. Returns the frame's length. */
  frameNow(block: Buffer, level: number, out: Buffer): number {
    this.#zstd.setParameter(this.#context, C_COMPRESSION_LEVEL, level);
    return this.#checked(this.#zstd.compress(this.#context, out, out.length, block, block.length));
  }

  #checked(length: number): number {
    if (this.#zstd.isError(length) !== 0) throw new Error('zstd failed');
    return length;
  }

  close(): void {
    this.#zstd.freeCCtx(this.#context);
  }
}
