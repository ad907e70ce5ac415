import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountOf, mountsWithin, parseMountInfo } from '../../../agent/fs/mounts.ts';

const TEXT = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:27 / /srv rw shared:1 - btrfs /dev/vdb rw
31 30 0:28 / /srv/with\\040space ro,nosuid - xfs /dev/vdc rw
32 22 0:29 / /srv rw - xfs /dev/vdd rw
`;

test('the innermost and newest mount holds a path, and escapes are undone', () => {
  const mounts = parseMountInfo(TEXT);
  assert.equal(mounts.length, 4);
  assert.equal(mountOf(mounts, '/srv/with space/x').type, 'xfs');
  assert.equal(mountOf(mounts, '/srv/with space/x').readOnly, true);
  assert.equal(mountOf(mounts, '/srv/x').source, '/dev/vdd');
  assert.equal(mountOf(mounts, '/srvx').source, '/dev/vda');
});

test('mounts at a path and below it are found, beside it they are not', () => {
  const mounts = parseMountInfo(TEXT);
  assert.deepEqual(
    mountsWithin(mounts, '/srv/with space').map((mount) => mount.source),
    ['/dev/vdc'],
  );
  assert.equal(mountsWithin(mounts, '/srv').length, 3);
  assert.equal(mountsWithin(mounts, '/sr').length, 0);
});
