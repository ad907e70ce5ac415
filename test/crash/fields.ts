/** The fields of a slot, each made when it is first asked for. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Field, type Scenario } from './field.ts';

export class Fields {
  readonly #directory: string;
  readonly #program: string;
  readonly #made = new Map<Scenario, Field>();

  constructor(directory: string, program: string) {
    this.#directory = directory;
    this.#program = program;
  }

  async of(scenario: Scenario): Promise<Field> {
    const made = this.#made.get(scenario);
    if (made !== undefined) return made;
    const directory = join(this.#directory, scenario);
    mkdirSync(directory, { recursive: true });
    const field = await Field.open({ scenario, directory, program: this.#program });
    this.#made.set(scenario, field);
    return field;
  }

  async close(): Promise<void> {
    for (const field of this.#made.values()) await field.close();
  }
}
