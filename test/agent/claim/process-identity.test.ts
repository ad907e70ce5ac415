import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { isCertainlyDead, isElsewhere, processIdentity } from '../../../agent/claim/process-identity.ts';

const [BOOT = '', NAMESPACE = '', PID = '', START = '', INSTALLATION = '', HARDWARE = ''] =
  processIdentity().split('/');
const identity = (parts: {
  boot?: string;
  namespace?: string;
  pid?: string;
  start?: string;
  installation?: string;
  hardware?: string;
}) =>
  [
    parts.boot ?? BOOT,
    parts.namespace ?? NAMESPACE,
    parts.pid ?? PID,
    parts.start ?? START,
    parts.installation ?? INSTALLATION,
    parts.hardware ?? HARDWARE,
  ].join('/');

test('a process that lives is not dead, one that ended is, also when its number was given away again', async () => {
  assert.equal(isCertainlyDead(processIdentity()), false);
  const child = spawn('sleep', ['60']);
  await once(child, 'spawn');
  const its = processIdentity(child.pid);
  assert.equal(isCertainlyDead(its), false);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(isCertainlyDead(its), true);
  assert.equal(isCertainlyDead(identity({ start: '1' })), true);
  assert.equal(
    isCertainlyDead(identity({ namespace: 'pid:[1]', start: '1' })),
    false,
    'in a namespace unseen from here',
  );
});

test('what ran before this machine was booted is dead; on a copy of it, or on a machine unknown, it may live', () => {
  assert.ok(INSTALLATION !== '' && HARDWARE !== '', 'this machine can be told from others');
  assert.equal(isCertainlyDead(identity({ boot: 'another' })), true);
  assert.equal(isCertainlyDead(identity({ boot: 'another', namespace: 'pid:[1]' })), true);
  assert.equal(isCertainlyDead(identity({ boot: 'another', hardware: 'other' })), false, 'a copy of the disk');
  assert.equal(isCertainlyDead(identity({ boot: 'another', installation: 'other' })), false, 'another system on it');
  assert.equal(isCertainlyDead(identity({ boot: 'another', hardware: '' })), false, 'nothing told the hardware');
  assert.equal(isCertainlyDead(`another/${NAMESPACE}/${PID}/${START}`), false, 'written by an earlier version');
});

test('an identity of another installation is known as such, one that says nothing is not', () => {
  assert.equal(isElsewhere(processIdentity()), false);
  assert.equal(isElsewhere(identity({ installation: 'other' })), true);
  assert.equal(isElsewhere(identity({ installation: '' })), false);
  assert.equal(isElsewhere('boot/ns/1/1'), false);
});

test('neither the machine id nor an address of the machine is in it', () => {
  assert.match(INSTALLATION, /^[0-9a-f]{16}$/);
  assert.match(HARDWARE, /^[0-9a-f]{16}$/);
});
