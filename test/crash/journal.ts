/**
 * journal: what a dying disk or a person may make of a journal: cut at every byte, each bit flipped, records doubled, left out, swapped,
 * taken from another intent, of another version.
 *
 * Read back it is a prefix of what was appended (a torn last record), and then recovery decides what it would for that prefix; or it
 * is `JOURNAL_DAMAGED`. Never anything else. `disk` damages the journal of a host that stopped in the middle: recovery is stuck, and
 * deletes nothing.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { readRecords, type Stamped } from '../../agent/restore/journal.ts';
import { reduceJournal } from '../../agent/restore/journal-state.ts';
import { planRecovery } from '../../agent/restore/recovery-plan.ts';
import { RefloatError } from '../../db/errors.ts';
import { bundle } from './bundle.ts';
import { type Scenario, someScenarios } from './field.ts';
import { type Agent, callsOf, type Host, Hosts, loadAgent, stopAt } from './hosts.ts';
import { type Random, randomOf } from './random.ts';
import type { CaseResult, Slot, Sweep, SweepSession } from './sweep.ts';

const BITS_PER_CASE = 500;
const KINDS = ['doubled', 'left-out', 'swapped', 'foreign', 'version', 'run-together'] as const;
const OTHER_INTENT = '019a0000-0000-7000-8000-0000000000ff';

class JournalSession implements SweepSession {
  readonly #slot: Slot;
  readonly #hosts: Hosts;
  readonly #agent: Agent;
  readonly #recorded = new Map<string, Buffer>();

  constructor(slot: Slot, hosts: Hosts, agent: Agent) {
    this.#slot = slot;
    this.#hosts = hosts;
    this.#agent = agent;
  }

  /** Batches: all cuts and records of a scenario's journal, runs of bits of it, and a tenth of a percent on the disk. */
  async cases(count: number, random: Random): Promise<readonly string[]> {
    const whole: string[] = [];
    const bits: string[] = [];
    for (const scenario of someScenarios(count * 0.1, random)) {
      const bytes = await this.#journalOf(scenario);
      whole.push(`${scenario} cut`, ...KINDS.map((kind) => `${scenario} ${kind}`));
      for (let disk = 0; disk < Math.max(1, count / 2000); disk += 1)
        whole.push(`${scenario} disk ${random.below(2 ** 30)}`);
      for (let from = 0; from < bytes.length * 8; from += BITS_PER_CASE) bits.push(`${scenario} bits ${from}`);
    }
    return [...whole, ...random.shuffle(bits)];
  }

  async run(name: string): Promise<CaseResult> {
    const [scenario = '', kind = '', from = '0'] = name.split(' ');
    if (kind === 'disk') return this.#onDisk(scenario as Scenario, randomOf(`${this.#slot.seed}/${name}`));
    const bytes = await this.#journalOf(scenario as Scenario);
    const { intentId } = (await this.#hosts.of('tmpfs', scenario as Scenario)).field;
    const violations: string[] = [];
    let count = 0;
    for (const [what, damaged] of damages(bytes, kind, Number(from))) {
      count += 1;
      const wrong = wrongReading(damaged, bytes, intentId, kind);
      if (wrong !== null) violations.push(`${what}: ${wrong}`);
    }
    return { count, violations };
  }

  async #journalOf(scenario: Scenario): Promise<Buffer> {
    const known = this.#recorded.get(scenario);
    if (known !== undefined) return known;
    const host = await this.#hosts.of('tmpfs', scenario);
    await callsOf(this.#agent, host);
    const bytes = readFileSync(pathOf(host));
    this.#recorded.set(scenario, bytes);
    return bytes;
  }

  async #onDisk(scenario: Scenario, random: Random): Promise<CaseResult> {
    const host = await this.#hosts.of('tmpfs', scenario);
    const points = (await callsOf(this.#agent, host)).length;
    await stopAt(this.#agent, host, 1 + random.below(points));
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
    const before = listing(host);
    const told = await this.#agent.inProcess(host.field.environment, null);
    const state = told.intents.find(({ intentId }) => intentId === host.field.intentId)?.outcome.state;
    const violations = state === 'stuck' ? [] : [`a damaged journal was ${state ?? 'not told of'}`];
    if (!isDeepStrictEqual(before, listing(host)))
      violations.push('something was changed although the journal is damaged');
    return { count: 1, violations, ended: state };
  }

  async close(): Promise<void> {
    await this.#hosts.close();
  }
}

function pathOf({ field }: Host): string {
  return join(field.stateDir, 'journal', `${field.intentId}.jsonl`);
}

/** Everything below the volumes' base, by name. */
function listing({ field }: Host): string[] {
  return readdirSync(field.volumeBase, { recursive: true, encoding: 'latin1' }).sort();
}

function* damages(bytes: Buffer, kind: string, from: number): Generator<readonly [what: string, damaged: Buffer]> {
  const lines = bytes.toString('latin1').split('\n').slice(0, -1);
  const joined = (some: readonly string[]): Buffer => Buffer.from(some.map((line) => `${line}\n`).join(''), 'latin1');
  if (kind === 'cut') {
    for (let length = 0; length <= bytes.length; length += 1) yield [`cut at ${length}`, bytes.subarray(0, length)];
    return;
  }
  if (kind === 'bits') {
    for (let bit = from; bit < Math.min(from + BITS_PER_CASE, bytes.length * 8); bit += 1) {
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

export const journal: Sweep = {
  async open(slot: Slot) {
    const hosts = new Hosts(slot.directory, await bundle(join(slot.directory, 'program')));
    return new JournalSession(slot, hosts, await loadAgent(join(slot.directory, 'in-process')));
  },
};
