/**
 * journal: what a dying disk or a person may make of a journal: cut at every byte, each bit flipped, records doubled, left out, swapped,
 * taken from another intent, of another version.
 *
 * Read back it is a prefix of what was appended (a torn last record), and then recovery decides what it would for that prefix; or it
 * is `JOURNAL_DAMAGED`. Never anything else. `disk` damages the journal of a host that stopped in the middle: recovery is stuck, and
 * deletes nothing.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { readRecords, type Stamped } from '../../agent/restore/journal.ts';
import { reduceJournal } from '../../agent/restore/journal-state.ts';
import { planRecovery } from '../../agent/restore/recovery-plan.ts';
import { RefloatError } from '../../db/errors.ts';
import { compareTrees, snapshotTree } from '../helpers/tree.ts';
import { type Agent, callsOf, type Host, type Hosts, stopAt, sweepOnHosts } from './hosts.ts';
import { type Random, randomOf } from './random.ts';
import { type Scenario, someScenarios } from './scenarios.ts';
import type { CaseResult } from './sweep.ts';

const PER_CASE = 500;
/** Damaged on a host, by scenario, at most: each takes as long as a thousand that are only read. */
const DISKS = 50;
const KINDS = ['doubled', 'left-out', 'swapped', 'foreign', 'version', 'run-together'] as const;
const OTHER_INTENT = '019a0000-0000-7000-8000-0000000000ff';

export const journal = sweepOnHosts(({ slot, hosts, agent }) => {
  const journals = new Journals(hosts, agent);
  return {
    /** Batches: all records of a scenario's journal, runs of its bytes and bits, and some on the disk. */
    async cases(count, random) {
      const whole: string[] = [];
      const runs: string[] = [];
      for (const scenario of someScenarios(count / 10, random)) {
        const { bytes } = await journals.of(scenario);
        whole.push(...KINDS.map((kind) => `${scenario} ${kind}`));
        for (let disk = 0; disk < Math.min(1 + count / 500, DISKS); disk += 1)
          whole.push(`${scenario} disk ${random.below(2 ** 30)}`);
        const cuts = count >= 10_000 ? whole : runs;
        for (let from = 0; from <= bytes.length; from += PER_CASE) cuts.push(`${scenario} cut ${from}`);
        for (let from = 0; from < bytes.length * 8; from += PER_CASE) runs.push(`${scenario} bits ${from}`);
      }
      return [...whole, ...random.shuffle(runs)];
    },

    async run(name) {
      const [scenario = '', kind = '', from = '0'] = name.split(' ');
      const host = await hosts.of('tmpfs', scenario as Scenario);
      const { bytes, points } = await journals.of(scenario as Scenario);
      if (kind === 'disk') return onDisk(agent, host, points, randomOf(`${slot.seed}/${name}`));
      const violations: string[] = [];
      let count = 0;
      for (const [what, damaged] of damages(bytes, kind, Number(from))) {
        count += 1;
        const wrong = wrongReading(damaged, bytes, host.field.intentId, kind);
        if (wrong !== null) violations.push(`${what}: ${wrong}`);
      }
      return { count, violations };
    },
  };
});

interface Recorded {
  readonly bytes: Buffer;
  /** Changes that the run made. */
  readonly points: number;
}

/** The journal of an undisturbed run, by scenario. */
class Journals {
  readonly #hosts: Hosts;
  readonly #agent: Agent;
  readonly #recorded = new Map<Scenario, Recorded>();

  constructor(hosts: Hosts, agent: Agent) {
    this.#hosts = hosts;
    this.#agent = agent;
  }

  async of(scenario: Scenario): Promise<Recorded> {
    const known = this.#recorded.get(scenario);
    if (known !== undefined) return known;
    const host = await this.#hosts.of('tmpfs', scenario);
    const points = (await callsOf(this.#agent, host)).length;
    const recorded = { bytes: readFileSync(pathOf(host)), points };
    this.#recorded.set(scenario, recorded);
    return recorded;
  }
}

/** A journal that is damaged while the host is off, in the middle of the work. */
async function onDisk(agent: Agent, host: Host, points: number, random: Random): Promise<CaseResult> {
  await stopAt(agent, host, 1 + random.below(points));
  let bytes: Buffer;
  try {
    bytes = readFileSync(pathOf(host));
  } catch {
    return { count: 0, violations: [] };
  }
  const lastLine = bytes.lastIndexOf(0x0a, bytes.length - 2);
  if (lastLine < 1) return { count: 0, violations: [] };
  const at = random.below(lastLine);
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random.below(8)), at);
  writeFileSync(pathOf(host), bytes);
  const { volumeBase } = host.field;
  const before = snapshotTree(volumeBase);
  const told = await agent.inProcess(host.field.environment, null);
  const state = told.intents.find(({ intentId }) => intentId === host.field.intentId)?.outcome.state;
  const violations = state === 'stuck' ? [] : [`a damaged journal was ${state ?? 'not told of'}`];
  for (const difference of compareTrees(before, snapshotTree(volumeBase)))
    violations.push(`changed although the journal is damaged: ${difference}`);
  return { count: 1, violations, ended: state };
}

function pathOf({ field }: Host): string {
  return join(field.stateDir, 'journal', `${field.intentId}.jsonl`);
}

function* damages(bytes: Buffer, kind: string, from: number): Generator<readonly [what: string, damaged: Buffer]> {
  const lines = bytes.toString('latin1').split('\n').slice(0, -1);
  const joined = (some: readonly string[]): Buffer => Buffer.from(some.map((line) => `${line}\n`).join(''), 'latin1');
  if (kind === 'cut') {
    for (let length = from; length <= Math.min(from + PER_CASE - 1, bytes.length); length += 1)
      yield [`cut at ${length}`, bytes.subarray(0, length)];
    return;
  }
  if (kind === 'bits') {
    for (let bit = from; bit < Math.min(from + PER_CASE, bytes.length * 8); bit += 1) {
      const flipped = Buffer.from(bytes);
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      yield [`bit ${bit}`, flipped];
    }
    return;
  }
  for (let index = 0; index + 1 < lines.length; index += 1) {
    const [line = '', next = ''] = [lines[index], lines[index + 1]];
    const around = (...middle: string[]): Buffer =>
      joined([...lines.slice(0, index), ...middle, ...lines.slice(index + 2)]);
    if (kind === 'doubled') yield [`record ${index + 1} doubled`, around(line, line, next)];
    if (kind === 'left-out') yield [`record ${index + 1} left out`, around(next)];
    if (kind === 'swapped') yield [`records ${index + 1} and ${index + 2} swapped`, around(next, line)];
    if (kind === 'run-together') yield [`records ${index + 1} and ${index + 2} run together`, around(line + next)];
    if (kind === 'foreign')
      yield [`record ${index + 1} is another intent's`, around(resealed(line, { id: OTHER_INTENT }), next)];
    if (kind === 'version' && index === 0)
      for (const version of [0, 2, 3, 99]) yield [`version ${version}`, around(resealed(line, { version }), next)];
  }
}

/** A record with other members and a checksum that is right. */
function resealed(line: string, change: object): string {
  const { crc: _, ...record } = JSON.parse(Buffer.from(line, 'latin1').toString()) as Record<string, unknown>;
  const body = JSON.stringify({ ...record, ...change });
  return Buffer.from(`{"crc":"${crc32c(Buffer.from(body))}",${body.slice(1)}`).toString('latin1');
}

/** The checksum of RFC 3720, bit by bit: none of the journal's own code. */
function crc32c(bytes: Buffer): string {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, '0');
}

/** Null when what is read is right. */
function wrongReading(damaged: Buffer, bytes: Buffer, intentId: string, kind: string): string | null {
  const { records: all } = readRecords(bytes, 'journal', intentId);
  let records: readonly Stamped[];
  try {
    ({ records } = readRecords(damaged, 'journal', intentId));
  } catch (error) {
    if (!(error instanceof RefloatError) || error.code !== 'JOURNAL_DAMAGED') return `it threw ${String(error)}`;
    return kind === 'cut' ? 'a torn journal is called damaged' : null;
  }
  if (kind !== 'cut' && kind !== 'bits') return `${records.length} records were read`;
  const prefix = all.slice(0, records.length);
  if (!isDeepStrictEqual(records, prefix)) return 'what was read was never written';
  if (kind === 'bits' && records.length < all.length - 1) return `records behind record ${records.length} are lost`;
  const decide = (some: readonly Stamped[]): unknown => planRecovery(reduceJournal(some), new Map());
  return isDeepStrictEqual(decide(records), decide(prefix)) ? null : 'recovery decides otherwise';
}
