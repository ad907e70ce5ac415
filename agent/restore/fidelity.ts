/**
 * What was put back against what the snapshot says: the staged tree is walked after it was built, by other code than built it, before
 * anything stops.
 *
 * A difference that nothing names is a failure, and the workload is not touched. Holes and times are warnings, since file systems
 * differ in what they can hold of them, and so are extended attributes that a host adds by itself (security labels).
 */
import { RefloatError } from '../../db/errors.ts';
import type { Fidelity } from '../../db/results.ts';
import { countsOf } from '../archive/tree-counts.ts';
import type { Archiver, ArchiveSummary, MetadataSums, TreeCounts } from '../archive/types.ts';
import type { Target } from './facts.ts';

/** Contents are compared by the archive's SHA-256 while they are extracted; here it is what lies on the disk. */
const MUST_COUNT = ['entries', 'files', 'directories', 'symlinks', 'hardLinks', 'contentBytes'] as const;
const MUST_SUM = ['owners', 'modes', 'linkTargets'] as const;

/**
 * @param extracted what the extraction said of itself
 * @param warn differences that the restore goes on with
 * @throws RefloatError `RESTORE_DIFFERS`
 */
export async function checkFidelity(
  archiver: Pick<Archiver, 'measure'>,
  target: Pick<Target, 'volume' | 'staging'>,
  expected: TreeCounts,
  extracted: ArchiveSummary,
  warn: (message: string) => void,
): Promise<Fidelity> {
  const measured = await archiver.measure(target.staging);
  const found = countsOf(measured);
  const sums = sameSums(extracted, measured.sums);
  const hasRefusedXattrs = extracted.skipped.some(({ reason }) => reason.startsWith('xattr'));
  const wrong = [
    ...MUST_COUNT.filter((name) => expected[name] !== found[name]).map((name) => countText(name, expected, found)),
    ...MUST_SUM.filter((name) => sums?.[name] === false),
    ...(found.xattrs < expected.xattrs && !hasRefusedXattrs ? [countText('xattrs', expected, found)] : []),
  ];
  if (wrong.length > 0) throw differs(target.volume, wrong);
  for (const name of ['sparseFiles', 'xattrs'] as const) {
    if (found[name] !== expected[name]) warn(`volume "${target.volume}": ${countText(name, expected, found)}`);
  }
  if (sums?.times === false) warn(`volume "${target.volume}": the file system does not hold all times as they were`);
  return { volume: target.volume, expected, found, same: sums };
}

/** Null when the archive does not describe each of its directories, so that there is nothing to compare with. */
function sameSums({ sums }: ArchiveSummary, onDisk: MetadataSums): Fidelity['same'] {
  if (sums === undefined) return null;
  return {
    owners: sums.owners === onDisk.owners,
    modes: sums.modes === onDisk.modes,
    times: sums.times === onDisk.times,
    linkTargets: sums.linkTargets === onDisk.linkTargets,
  };
}

function countText(name: keyof TreeCounts, expected: TreeCounts, found: TreeCounts): string {
  return `${name} ${found[name]} instead of ${expected[name]}`;
}

function differs(volume: string, wrong: readonly string[]): RefloatError {
  return new RefloatError(
    'RESTORE_DIFFERS',
    `volume "${volume}": what lies on the disk is not what the snapshot says (${wrong.join(', ')})`,
    {
      hint: 'Nothing was stopped and nothing was replaced. Look at the kernel log and at the file system of the volume, then try again.',
      disposition: 'fail',
      details: { volume, differences: wrong },
    },
  );
}
