/**
 * Finds the holes of a file.
 *
 * Guarantees: what is reported as a hole reads as zeros; a map has a bounded number of segments, small holes being read as data.
 */
import { MAX_SEGMENTS } from './sparse.ts';
import { type Stat, seekData, seekHole, seekStart } from './syscalls.ts';

/** Whether it is worth asking for holes at all. */
export const maybeSparse = (stat: Stat): boolean => stat.size > 0 && stat.blocks * 512 < stat.size;

/** Offset, length, … of the data; null when the file has no hole. Leaves the descriptor at its start. */
export function scanSegments(fd: number, size: number): number[] | null {
  let segments: number[] = [];
  let minimumHole = 0;
  for (let position = 0; position < size; ) {
    const data = seekData(fd, position);
    if (data === null || data >= size) break;
    const end = Math.min(seekHole(fd, data), size);
    const last = segments.length - 2;
    const lastEnd = (segments[last] ?? 0) + (segments[last + 1] ?? 0);
    if (last >= 0 && data - lastEnd < minimumHole) segments[last + 1] = end - (segments[last] ?? 0);
    else segments.push(data, end - data);
    if (segments.length > MAX_SEGMENTS) {
      minimumHole = Math.max(8192, minimumHole * 2);
      segments = mergeSmallHoles(segments, minimumHole);
    }
    position = end;
  }
  seekStart(fd);
  const whole = segments.length === 2 && segments[0] === 0 && segments[1] === size;
  return whole ? null : segments;
}

function mergeSmallHoles(segments: readonly number[], minimumHole: number): number[] {
  const merged: number[] = [];
  for (let index = 0; index < segments.length; index += 2) {
    const offset = segments[index] ?? 0;
    const end = offset + (segments[index + 1] ?? 0);
    const last = merged.length - 2;
    if (last >= 0 && offset - ((merged[last] ?? 0) + (merged[last + 1] ?? 0)) < minimumHole)
      merged[last + 1] = end - (merged[last] ?? 0);
    else merged.push(offset, end - offset);
  }
  return merged;
}
