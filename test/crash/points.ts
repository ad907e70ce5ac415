/**
 * Numbers every call that changes the file system or the engine, below the product's own code: `fs-points.ts` and `koffi-points.ts`
 * stand in for `node:fs` and `koffi` in a bundle and ask here before each. `arm` lets something happen before the n-th.
 */
type Before = (call: string) => void;

let count = 0;
let at = 0;
let isLasting = false;
let then: Before = () => undefined;
let calls: string[] = [];

/**
 * @param n from 1; 0 for never
 * @param lasting before every later one, too
 */
export function arm(n: number, before: Before, lasting = false): void {
  count = 0;
  at = n;
  then = before;
  isLasting = lasting;
  calls = [];
}

/** The calls since `arm`. */
export function callsSoFar(): readonly string[] {
  return calls;
}

export function point(call: string): void {
  count += 1;
  calls.push(call);
  if (count === at || (isLasting && at > 0 && count > at)) then(call);
}
