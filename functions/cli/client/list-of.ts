/** Of an option that may be given several times: both `--scope a b` and `--scope a,b`. */
export function listOf(values: readonly string[]): string[] {
  return values.flatMap((value) => value.split(/[\s,]+/)).filter((value) => value !== '');
}
