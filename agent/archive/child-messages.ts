/**
 * What the archive's child says, as the agent takes it: the child has read hostile bytes, and may say anything.
 *
 * Guarantees: what is taken has the shape of the protocol, and what is held is bounded; anything else is an error.
 * Does not guarantee: that what is said is true.
 */
import { z } from 'zod';
import { RefloatError } from '../../db/errors.ts';
import type { ChildMessage } from './protocol.ts';
import { ARCHIVE_CODES } from './refusal.ts';
import type { Progress } from './types.ts';

/**
 * Characters of a line. The longest answer names 990 skipped paths of 300 characters with a detail of as many; escaped in JSON
 * that is 1.3 million.
 */
const MAX_LINE = 4 * 1024 * 1024;
const MAX_DETAILS = 20;

const NUMBER = z.number().min(0);
const PROGRESS = z.strictObject({ progress: z.tuple([NUMBER, NUMBER]) });
const ERROR = z.strictObject({
  code: z.enum([...ARCHIVE_CODES, 'FSYNC_FAILED', 'INTERRUPTED', 'INTERNAL']),
  message: z.string(),
  hint: z.string(),
  disposition: z.enum(['refuse', 'fail']),
  details: z.custom<Readonly<Record<string, unknown>>>(isFlat).exactOptional(),
  causeMessage: z.string().exactOptional(),
});

type Answer<T> = { readonly ok: T } | Extract<ChildMessage, { error: unknown }>;

/** A few facts by name. What is nested deeper than the stack is high could be written nowhere. */
function isFlat(details: unknown): boolean {
  if (typeof details !== 'object' || details === null || Array.isArray(details)) return false;
  const facts = Object.values(details);
  return facts.length <= MAX_DETAILS && facts.every((fact) => typeof fact !== 'object' || fact === null);
}

export class ChildMessages<T> {
  readonly #message: z.ZodType<Answer<T> | z.output<typeof PROGRESS>>;
  readonly #onProgress: Progress | undefined;
  #held = '';
  #answer: Answer<T> | null = null;

  /** @param ok shape of the answer when all went well */
  constructor(ok: z.ZodType<T>, onProgress: Progress | undefined) {
    this.#message = z.union([PROGRESS, z.strictObject({ ok }), z.strictObject({ error: ERROR })]);
    this.#onProgress = onProgress;
  }

  /** What was said last, apart from progress. */
  get answer(): Answer<T> | null {
    return this.#answer;
  }

  /** @throws RefloatError INTERNAL for what the protocol does not have; nothing may be taken after that */
  take(chunk: string): void {
    const lines = (this.#held + chunk).split('\n');
    this.#held = lines.pop() ?? '';
    if (this.#held.length > MAX_LINE) throw nonsense(`a line of more than ${MAX_LINE} characters`);
    for (const line of lines) {
      const message = this.#parse(line);
      if ('progress' in message) this.#onProgress?.(...message.progress);
      else this.#answer = message;
    }
  }

  #parse(line: string): Answer<T> | z.output<typeof PROGRESS> {
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch {
      throw nonsense('a line that is no JSON');
    }
    const { success, data } = this.#message.safeParse(json);
    if (success) return data;
    throw nonsense('a message that the protocol does not have');
  }
}

/** Nothing of what was said is in it: it may hold control bytes of an archive. */
function nonsense(what: string): RefloatError {
  return new RefloatError('INTERNAL', `the archive process said ${what}, and was killed`, {
    hint: 'Nothing was written. If the archive is not one of your own, it may be an attack; otherwise please report this as a defect.',
    disposition: 'fail',
  });
}
