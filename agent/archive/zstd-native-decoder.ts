/**
 * Decompression by the zstd that Node carries inside itself, called without the streams around it: from buffer to buffer, both kept.
 *
 * Guarantees: the work is done on the thread pool; a window of more than 64 MiB is an error.
 * Does not guarantee: to be there. `nativeZstdDecoder` is null for a Node that does not export its zstd; zlib-pump.ts does the same more slowly.
 */
import koffi from 'koffi';
import { refusal } from './refusal.ts';

const D_WINDOW_LOG_MAX = 100;
const WINDOW_LOG = 26;

type Pointer = unknown;

export interface ZstdDecoder {
  createDCtx(): Pointer;
  freeDCtx(context: Pointer): number;
  setParameter(context: Pointer, parameter: number, value: number): number;
  readonly decompress: { async(...args: unknown[]): void };
  isError(code: number): number;
}

function load(): ZstdDecoder | null {
  try {
    const library = koffi.load(null);
    const bind = <K extends keyof ZstdDecoder>(definition: string): ZstdDecoder[K] =>
      library.func(definition) as unknown as ZstdDecoder[K];
    return {
      createDCtx: bind<'createDCtx'>('void *ZSTD_createDCtx()'),
      freeDCtx: bind<'freeDCtx'>('size_t ZSTD_freeDCtx(void *)'),
      setParameter: bind<'setParameter'>('size_t ZSTD_DCtx_setParameter(void *, int, int)'),
      decompress: bind<'decompress'>(
        'size_t ZSTD_decompressStream_simpleArgs(void *, void *, size_t, void *, const void *, size_t, void *)',
      ),
      isError: bind<'isError'>('unsigned int ZSTD_isError(size_t)'),
    };
  } catch {
    return null;
  }
}

export const nativeZstdDecoder = load();

export class NativeDecoder {
  readonly #zstd: ZstdDecoder;
  readonly #context: Pointer;
  /** Where zstd says how far it has come, in the output and in the input. */
  readonly #produced = new BigUint64Array(1);
  readonly #consumed = new BigUint64Array(1);
  #atFrameEnd = true;

  constructor(zstd: ZstdDecoder) {
    this.#zstd = zstd;
    this.#context = zstd.createDCtx();
    zstd.setParameter(this.#context, D_WINDOW_LOG_MAX, WINDOW_LOG);
  }

  /** Whether everything that came out so far is whole frames. */
  get atFrameEnd(): boolean {
    return this.#atFrameEnd;
  }

  /**
   * Goes on until the input is empty, the output full, or a frame at its end. Both belong to zstd meanwhile. One call at a time.
   * @throws RefloatError ARCHIVE_CORRUPT, after which nothing but `close` may be called
   */
  async step(input: Buffer, output: Buffer): Promise<{ readonly consumed: number; readonly produced: number }> {
    this.#produced[0] = 0n;
    this.#consumed[0] = 0n;
    const hint = await new Promise<number>((resolve, reject) => {
      this.#zstd.decompress.async(
        this.#context,
        output,
        output.length,
        this.#produced,
        input,
        input.length,
        this.#consumed,
        (error: Error | null, result: number) => (error === null ? resolve(result) : reject(error)),
      );
    });
    if (this.#zstd.isError(hint) !== 0)
      throw refusal('ARCHIVE_CORRUPT', 'bad-compression', 'the compressed archive is damaged');
    this.#atFrameEnd = hint === 0;
    return { consumed: Number(this.#consumed[0]), produced: Number(this.#produced[0]) };
  }

  close(): void {
    this.#zstd.freeDCtx(this.#context);
  }
}
