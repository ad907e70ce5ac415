/** Where fuzzing begins: one small input for every construct that the parser knows. */
import { END, entry, long, pax, paxRecord, tar } from '../helpers/tar-builder.ts';

const FILE = entry({ name: 'file', body: 'content' });
const oldGnuSparse = entry({
  name: 'sparse',
  type: 'S',
  magic: 'gnu',
  body: 'x'.repeat(512),
  patch: [
    { at: 386, bytes: '00000000000\x0000000001000\0' },
    { at: 483, bytes: '00000010000\0' },
  ],
});
const sparseMap = Buffer.alloc(512);
sparseMap.write('1\n512\n3\n');

const ARCHIVES: readonly Buffer[] = [
  END,
  tar(FILE),
  tar(
    entry({ name: './', type: '5', mode: 0o755 }),
    entry({ name: './d/', type: '5' }),
    entry({ name: './d/f', body: 'x' }),
  ),
  tar(FILE, entry({ name: 'hard', type: '1', linkName: 'file' }), entry({ name: 'soft', type: '2', linkName: '../x' })),
  tar(
    ...['soft', 'again'].flatMap((name) => [
      pax({ 'REFLOAT.symlink': 'soft' }),
      entry({ name, type: '2', linkName: '../x' }),
    ]),
  ),
  tar(long('L', 'n'.repeat(150)), entry({ name: 'n'.repeat(100), body: 'x', magic: 'gnu' })),
  tar(long('K', 't'.repeat(150)), entry({ name: 'soft', type: '2', linkName: 't'.repeat(100), magic: 'gnu' })),
  tar(pax({ path: 'p', mtime: '-12.5', uid: '4294967294', gid: '1', size: '7' }), FILE),
  tar(pax({ 'SCHILY.xattr.user.a': 'v', 'SCHILY.acl.access': 'user::rw-,group::r--,other::---' }), FILE),
  tar(pax({ 'LIBARCHIVE.xattr.user.b': 'dmFsdWU=', comment: 'c' }), FILE),
  tar(pax({ comment: 'global', mtime: '5' }, 'g'), FILE),
  tar(oldGnuSparse),
  tar(
    pax({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 's', 'GNU.sparse.realsize': '600' }),
    entry({ name: 'GNUSparseFile.0/s', body: Buffer.concat([sparseMap, Buffer.from('abc')]) }),
  ),
  tar(pax({ 'GNU.sparse.size': '100', 'GNU.sparse.numblocks': '1', 'GNU.sparse.map': '10,7' }), FILE),
  tar(entry({ name: 'label', type: 'V' }), entry({ name: 'old', magic: 'v7' }), entry({ name: 'dir/', magic: 'v7' })),
  tar(entry({ name: 'dump', type: 'D', body: 'Yfile\0\0' }), entry({ name: 'acl', type: 'A', body: 'x' }), FILE),
  tar(entry({ name: 'device', type: '3' }), entry({ name: 'pipe', type: '6' })),
  tar(
    entry({
      name: 'prefixed',
      prefix: 'some/where',
      patch: [{ at: 124, bytes: Buffer.from('800000000000000000000000', 'hex') }],
    }),
  ),
];

const PAX_BODIES: readonly Buffer[] = [
  Buffer.alloc(0),
  paxRecord('path', 'name'),
  Buffer.concat([paxRecord('mtime', '1.5'), paxRecord('SCHILY.xattr.user.a', '\0\n=')]),
  Buffer.concat([
    paxRecord('GNU.sparse.offset', '0'),
    paxRecord('GNU.sparse.numbytes', '5'),
    paxRecord('GNU.sparse.offset', '9'),
  ]),
  paxRecord('comment', 'c'.repeat(95)),
];

export const SEEDS: Readonly<Record<'header' | 'pax' | 'archive', readonly Buffer[]>> = {
  header: ARCHIVES.map((archive) => archive.subarray(0, 512)),
  pax: PAX_BODIES,
  archive: ARCHIVES,
};
