/**
 * Docker sends stdout and stderr of a container without a terminal in one stream of frames: one byte for which, three
 * zeros, four bytes of length, then the bytes.
 */

/** Reads to the end. Keeps the last `limit` bytes; both outputs in the order in which they came. */
export async function demultiplex(stream: AsyncIterable<Uint8Array>, limit: number, framed: boolean): Promise<string> {
  let kept = Buffer.alloc(0);
  const keep = (bytes: Buffer): void => {
    kept = Buffer.concat([kept, bytes]);
    if (kept.length > limit) kept = kept.subarray(kept.length - limit);
  };
  let pending = Buffer.alloc(0);
  let left = 0;
  let plain = !framed;
  for await (const chunk of stream) {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length > 0) {
      if (plain) left = pending.length;
      if (left > 0) {
        const take = Math.min(left, pending.length);
        keep(pending.subarray(0, take));
        pending = pending.subarray(take);
        left -= take;
        continue;
      }
      if (pending.length < 8) break;
      // A container with a terminal sends its bytes without frames.
      if ((pending[0] ?? 9) > 2 || pending[1] !== 0 || pending[2] !== 0 || pending[3] !== 0) {
        plain = true;
        continue;
      }
      left = pending.readUInt32BE(4);
      pending = pending.subarray(8);
    }
  }
  if (pending.length > 0 && left === 0) keep(pending);
  return kept.toString('utf8');
}
