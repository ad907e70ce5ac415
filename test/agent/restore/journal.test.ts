import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { crc32c } from '../../../agent/restore/crc32c.ts';
import { Journal, type JournalRecord, readRecords } from '../../../agent/restore/journal.ts';
import { reduceJournal } from '../../../agent/restore/journal-state.ts';
import { RefloatError } from '../../../db/errors.ts';
import { claimedIntent } from '../../helpers/intent.ts';

const directory = mkdtempSync(join(tmpdir(), 'refloat-journal-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const now = () => new Date('2026-01-02T03:04:05.678Z');
const RECORDS: JournalRecord[] = [
  { type: 'started', step: 'preflight' },
  { type: 'done', step: 'preflight', ms: 3, fact: { targets: [] } },
  { type: 'started', step: 'swap' },
  {
    type: 'note',
    name: 'exchanges',
    fact: [{ volume: 'data', live: '/a', staging: '/b', old: { dev: '1', ino: '2' }, new: { dev: '1', ino: '3' } }],
  },
  { type: 'commit' },
  { type: 'done', step: 'swap', ms: 1, fact: { exchanged: ['data'] } },
];

const HOUR_MS = 3_600_000;

let count = 0;
function written(): { path: string; id: string; bytes: Buffer } {
  const intent = claimedIntent();
  const path = join(directory, `${++count}.jsonl`);
  const journal = Journal.create(path, intent, now);
  for (const record of RECORDS) journal.append(record);
  journal.close();
  return { path, id: intent.id, bytes: readFileSync(path) };
}

function refusesToRead(bytes: Buffer, id: string): boolean {
  try {
    readRecords(bytes, 'journal', id);
    return false;
  } catch (error) {
    assert.ok(error instanceof RefloatError);
    assert.equal(error.code, 'JOURNAL_DAMAGED');
    assert.equal(error.disposition, 'stuck');
    return true;
  }
}

test('CRC-32C gives the check value of its standard', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 'e3069283');
  assert.equal(crc32c(Buffer.alloc(32)), '8a9136aa');
});

test('a journal that is opened again is written anew, since what is read may never have reached the disk', () => {
  const { path, id, bytes } = written();
  const before = statSync(path).ino;
  writeFileSync(`${path}.new`, 'what a crash left of an earlier try');
  const journal = Journal.open(path, id, now);
  assert.notEqual(statSync(path).ino, before);
  assert.deepEqual(readFileSync(path), bytes);
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.endsWith('.new')),
    [],
  );
  journal.append({ type: 'started', step: 'health' });
  journal.close();
  assert.equal(readRecords(readFileSync(path), path, id).records.length, RECORDS.length + 2);
});

test('records come back as they were appended, and the state adds up', () => {
  const { path, id } = written();
  const journal = Journal.open(path, id, now);
  assert.deepEqual(
    journal.records.slice(1).map(({ seq: _, id: __, at: ___, ...record }) => record),
    RECORDS,
  );
  const state = reduceJournal(journal.records);
  assert.equal(state?.committed, true);
  assert.deepEqual(state?.started, ['preflight', 'swap']);
  assert.deepEqual([...(state?.done ?? [])], ['preflight', 'swap']);
  journal.close();
});

test('cut at every byte: whole records are kept, a torn one is dropped, and appending goes on from there', () => {
  const { path, id, bytes } = written();
  const ends = [...bytes.entries()].filter(([, byte]) => byte === 0x0a).map(([index]) => index + 1);
  for (let length = 0; length <= bytes.length; length++) {
    writeFileSync(path, bytes.subarray(0, length));
    const whole = ends.filter((end) => end <= length).length;
    const journal = Journal.open(path, id, now);
    assert.equal(journal.records.length, whole, `cut to ${length} bytes`);
    if (whole > 0) {
      journal.append({ type: 'undone', step: 'stage' });
      assert.equal(readRecords(readFileSync(path), path, id).records.length, whole + 1);
    }
    journal.close();
  }
});

test('every bit flipped in an earlier record is found; in the last one it drops that record and no other', () => {
  const { id, bytes } = written();
  const lastStart = bytes.lastIndexOf(0x0a, bytes.length - 2) + 1;
  for (let index = 0; index < bytes.length; index++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[index] = (flipped[index] ?? 0) ^ (1 << bit);
      if (index < lastStart) {
        assert.ok(refusesToRead(flipped, id), `bit ${bit} of byte ${index}`);
      } else {
        const read = refusesToRead(flipped, id) ? 0 : readRecords(flipped, 'journal', id).records.length;
        assert.ok(read <= RECORDS.length, `bit ${bit} of byte ${index} in the last record`);
      }
    }
  }
});

test('records that are doubled, exchanged, left out or taken from another intent are found', () => {
  const { id, bytes } = written();
  const lines = bytes.toString().split('\n').slice(0, -1);
  const join_ = (some: (string | undefined)[]) => Buffer.from(`${some.join('\n')}\n`);
  for (let index = 0; index < lines.length; index++) {
    assert.ok(
      refusesToRead(join_([...lines.slice(0, index + 1), ...lines.slice(index)]), id),
      `record ${index + 1} doubled`,
    );
    if (index < lines.length - 1) {
      assert.ok(
        refusesToRead(join_([...lines.slice(0, index), ...lines.slice(index + 1)]), id),
        `record ${index + 1} left out`,
      );
      const swapped = [...lines];
      [swapped[index], swapped[index + 1]] = [swapped[index + 1] ?? '', swapped[index] ?? ''];
      assert.ok(refusesToRead(join_(swapped), id), `records ${index + 1} and ${index + 2} exchanged`);
    }
    const other = written().bytes.toString().split('\n');
    const mixed = lines.map((line, at) => (at === index ? (other[at] ?? '') : line));
    assert.ok(refusesToRead(join_(mixed), id), `record ${index + 1} of another intent`);
  }
});

test('a journal of a newer version is not understood', () => {
  const intent = claimedIntent();
  const path = join(directory, 'newer.jsonl');
  Journal.create(path, intent, now).close();
  const body = readFileSync(path)
    .toString()
    .trim()
    .replace(/^\{"crc":"[0-9a-f]{8}",/, '{')
    .replace('"version":1,"intent"', '"version":2,"intent"');
  writeFileSync(path, `{"crc":"${crc32c(Buffer.from(body))}",${body.slice(1)}\n`);
  assert.ok(refusesToRead(readFileSync(path), intent.id));
});

test('time since a note does not follow a clock that is set; only what another process noted is told by the time of day', () => {
  const intent = claimedIntent();
  const path = join(directory, 'clock.jsonl');
  let clock = Date.UTC(2026, 0, 1);
  const setting = () => new Date(clock);
  const journal = Journal.create(path, intent, setting);
  journal.append({ type: 'note', name: 'stopping', fact: 'x' });
  for (const step of [-HOUR_MS, 3 * HOUR_MS]) {
    clock += step;
    const ms = journal.msSinceNote('stopping');
    assert.ok(ms >= 0 && ms < 60_000, `${ms} ms`);
  }
  assert.throws(() => journal.msSinceNote('freezing'));
  journal.close();
  const next = Journal.open(path, intent.id, setting);
  assert.equal(next.msSinceNote('stopping'), 2 * HOUR_MS);
  clock -= 3 * HOUR_MS;
  assert.equal(next.msSinceNote('stopping'), 0);
  assert.throws(() => next.msSinceNote('freezing'));
  next.append({ type: 'note', name: 'stopping', fact: 'y' });
  clock += HOUR_MS;
  assert.ok(next.msSinceNote('stopping') < 60_000);
  next.close();
});

test('a journal that could not be written takes no more records', () => {
  const { path, id } = written();
  const journal = Journal.open(path, id, now);
  journal.close();
  assert.throws(() => journal.append({ type: 'commit' }));
  assert.throws(() => journal.append({ type: 'commit' }), /takes no more records/);
  assert.equal(readRecords(readFileSync(path), path, id).records.length, RECORDS.length + 1);
});

test('garbage after the last record is damage unless it can be a torn append', () => {
  const { path, id, bytes } = written();
  appendFileSync(path, 'x');
  Journal.open(path, id, now).close();
  assert.deepEqual(readFileSync(path), bytes);
  truncateSync(path, bytes.length);
  appendFileSync(path, 'x\ny\n');
  assert.throws(() => Journal.open(path, id, now), { code: 'JOURNAL_DAMAGED' });
});
