import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { pickImage } from '../../../agent/deploy/pick-image.ts';
import { recordContainers } from '../../../agent/deploy/quiesce.ts';
import type { RefloatError } from '../../../db/errors.ts';
import { testEngine } from '../../helpers/engine.ts';
import { buildImage } from '../../helpers/image.ts';
import { imageIdOf, testWorkload } from '../../helpers/workload.ts';

const real = await testEngine();
const { engine } = real;
afterEach(() => real.removeAll());

test('the newest running container decides, then the newest stopped one, then the configured reference', async () => {
  const { workload } = await testWorkload(real);
  const other = await buildImage(real.dockerHost, {
    name: 'refloat-test-other',
    binaries: ['sh', 'sleep'],
    command: ['sh', '-c', 'sleep 3600 & wait'],
  });
  const [standard, second] = [await imageIdOf(real), await engine.imageId(other)];
  const pick = async (): Promise<string | undefined> =>
    (await pickImage(engine, workload, await recordContainers(engine, workload.id)))?.id;
  assert.equal(await pick(), standard);

  const labels = { 'refloat.workload': workload.id };
  const older = await real.create({ name: `older-${workload.id.slice(-8)}`, labels });
  const newer = await real.create({
    name: `newer-${workload.id.slice(-8)}`,
    labels,
    image: other,
    stopTimeoutSeconds: 0,
  });
  await engine.start(older);
  await engine.start(newer);
  assert.equal(await pick(), second);
  await engine.stop(newer, 0);
  assert.equal(await pick(), standard, 'one that runs wins over a newer one that does not');
  await engine.stop(older, 0);
  assert.equal(await pick(), second);
});

test('no container and no such image: nothing to pick', async () => {
  const { workload } = await testWorkload(real, { image: 'no/such:image' });
  assert.equal(await pickImage(engine, workload, []), null);
});

test('an image that was removed from under a stopped container is refused', async () => {
  const { workload } = await testWorkload(real);
  const [record] = await recordContainers(engine, workload.id, [
    await real.create({ name: `gone-${workload.id.slice(-8)}` }),
  ]);
  assert.ok(record);
  const gone = { ...record, imageId: `sha256:${'0'.repeat(64)}` };
  await assert.rejects(
    pickImage(engine, workload, [gone]),
    (error: RefloatError) => error.code === 'IMAGE_GONE' && error.message.includes(gone.name),
  );
});
