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
  readonly compress: { async(...args: unknown[]): void };
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

export class NativeCompressor {
  readonly #zstd: Zstd;
  readonly #context: Pointer;
  readonly #out: Buffer;

  /** @param maxBytes of a block */
  constructor(zstd: Zstd, maxBytes: number) {
    this.#zstd = zstd;
    this.#context = zstd.createCCtx();
    zstd.setParameter(this.#context, C_CHECKSUM_FLAG, 1);
    // ZSTD_compressBound: what does not compress takes a 256th more.
    this.#out = Buffer.allocUnsafeSlow(maxBytes + (maxBytes >> 8) + 65_536);
  }

  /** One frame, valid until the next call. */
  async frame(block: Buffer, level: number): Promise<Buffer> {
    this.#zstd.setParameter(this.#context, C_COMPRESSION_LEVEL, level);
    const length = await new Promise<number>((resolve, reject) => {
      const { compress } = this.#zstd;
      compress.async(
        this.#context,
        this.#out,
        this.#out.length,
        block,
        block.length,
        (error: Error | null, result: number) => (error === null ? resolve(result) : reject(error)),
      );
    });
    if (this.#zstd.isError(length) !== 0) throw new Error('zstd failed');
    return this.#out.subarray(0, length);
  }

  close(): void {
    this.#zstd.freeCCtx(this.#context);
  }
}
