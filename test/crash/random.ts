/** Random numbers from a seed, so that a run can be repeated: SHA-256 of the seed and a counter. */
import { createHash, randomBytes } from 'node:crypto';

export interface Random {
  /** A whole number from 0 up to, not including, `below`. */
  below(below: number): number;
  pick<T>(items: readonly T[]): T;
  shuffle<T>(items: readonly T[]): T[];
}

export function newSeed(): string {
  return randomBytes(4).toString('hex');
}

/** The same text gives the same numbers. */
export function randomOf(text: string): Random {
  let pool = Buffer.alloc(0);
  let at = 0;
  let block = 0;
  const next = (): number => {
    if (at + 6 > pool.length) {
      pool = createHash('sha256').update(`${text}\0${block}`).digest();
      block += 1;
      at = 0;
    }
    at += 6;
    return pool.readUIntBE(at - 6, 6);
  };
  const random: Random = {
    below: (below) => next() % below,
    pick(items) {
      const found = items[random.below(items.length)];
      if (found === undefined) throw new Error('nothing to pick from');
      return found;
    },
    shuffle(items) {
      const left = [...items];
      for (let index = left.length - 1; index > 0; index -= 1) {
        const other = random.below(index + 1);
        [left[index], left[other]] = [left[other] as never, left[index] as never];
      }
      return left;
    },
  };
  return random;
}
