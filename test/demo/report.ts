/** What the demo tells a person: short, aligned, and why each line matters. */
import type { StepTiming } from '../../db/results.ts';
import { bytesText, durationText } from '../../functions/cli/client/text.ts';
import type { IntentAnswer } from '../../functions/cli/client/wire.ts';
import type { Contents } from './shop.ts';
import type { Stage } from './stage.ts';

export type Check = 'restore' | 'undo' | 'redo';

export interface Swap {
  readonly intentId: string;
  readonly ok: boolean;
  /** The checksum is the wanted one. */
  readonly equal: boolean;
  readonly checksum: string;
  readonly rows: number;
  readonly downtime: { readonly outsideMs: number; readonly agentMs: number | null; readonly outages: number };
  readonly imageIds: { readonly before: string; readonly after: string };
  readonly steps: readonly StepTiming[];
  readonly preRestore: { readonly id: string | null; readonly path: string | null };
}

const WORDS = {
  restore: { doing: 'Restoring', title: 'Restore', good: 'every row is back', bad: 'rows are missing or different' },
  undo: { doing: 'Undoing', title: 'Undo', good: 'the destroyed state again, exactly', bad: 'not the destroyed state' },
  redo: { doing: 'Redoing', title: 'Redo', good: 'every row is back again', bad: 'rows are missing or different' },
} as const;

export interface Report {
  title(): void;
  doing(name: Check): string;
  /** Shows that something is under way, on a terminal. */
  during<T>(what: string, work: (say: (line: string) => void) => Promise<T>): Promise<T>;
  stage(stage: Stage): void;
  filled(contents: Contents): void;
  captured(intent: IntentAnswer): void;
  destroyed(good: Contents, now: Contents): void;
  swapped(name: Check, swap: Swap, wanted: Contents): void;
  end(ok: boolean): void;
  failed(text: string): void;
  /** Told along with a failure. */
  onFailure(log: (() => string) | undefined): void;
}

export function makeReport(out: NodeJS.WriteStream): Report {
  const styled = (code: string, text: string) => (out.isTTY ? `\x1b[${code}m${text}\x1b[0m` : text);
  const bold = (text: string) => styled('1', text);
  const dim = (text: string) => styled('2', text);
  const mark = (ok: boolean) => (ok ? styled('32', '✓') : styled('31', '✗'));
  const line = (text = '') => out.write(`${text}\n`);
  const head = (title: string, text: string) => line(`${bold(title.padEnd(9))} ${text}`);
  const more = (name: string, text: string) => line(`${' '.repeat(10)}${dim(name.padEnd(10))} ${text}`);
  let log: (() => string) | undefined;
  const short = (checksum: string) => dim(`checksum ${checksum.slice(0, 12)}`);

  return {
    title: () => {
      line();
      line(`${bold('Refloat')}: a real PostgreSQL loses its data and gets it back`);
      line();
    },
    doing: (name) => WORDS[name].doing,
    during: async (what, work) => {
      if (out.isTTY) out.write(dim(`${what}…`));
      const clear = () => {
        if (out.isTTY) out.write('\r\x1b[2K');
      };
      try {
        return await work((text) => {
          clear();
          line(dim(text));
        });
      } finally {
        clear();
      }
    },
    stage: (stage) => {
      head('Stage', `PostgreSQL in a container, its data on a host volume; control plane at ${stage.url}`);
      more('engine', `Docker ${stage.engineVersion}${stage.enginePrivate ? ', started for this demo' : ''}`);
      more('image', `${stage.image}, built from this machine's own files`);
      more('volume', `${stage.volumeBase}/shop/pgdata`);
      line();
    },
    filled: (contents) =>
      head(
        'Fill',
        `${contents.rows.toLocaleString('en')} rows in ${contents.tables.length} tables   ${short(contents.checksum)}`,
      ),
    captured: ({ result }) => {
      const pause = result?.downtimeMs === undefined ? '' : `, paused for ${durationText(result.downtimeMs)}`;
      head(
        'Capture',
        `${bytesText(result?.bytes ?? 0)} in ${(result?.entries ?? 0).toLocaleString('en')} entries${pause}`,
      );
      more('snapshot', String(result?.snapshotPath ?? result?.snapshotId));
    },
    destroyed: (good, now) => {
      head(
        'Destroy',
        `payments dropped, ${(good.rows - now.rows).toLocaleString('en')} rows gone, every customer changed   ${short(now.checksum)}`,
      );
      line();
    },
    swapped: (name, swap, wanted) => {
      const words = WORDS[name];
      head(
        words.title,
        `${mark(swap.equal)} ${swap.equal ? words.good : words.bad}: ${swap.rows.toLocaleString('en')} of ${wanted.rows.toLocaleString('en')} rows   ${short(swap.checksum)}`,
      );
      const agent =
        swap.downtime.agentMs === null ? '' : `, ${durationText(swap.downtime.agentMs)} by the agent's clock`;
      more(
        'downtime',
        `${bold(durationText(swap.downtime.outsideMs))} as seen by clients${agent}${swap.downtime.outages === 1 ? '' : `, in ${swap.downtime.outages} outages`}`,
      );
      more('steps', swap.steps.map((step) => `${step.name} ${durationText(step.ms)}`).join(' · '));
      more(
        'image',
        `${swap.imageIds.after.slice(0, 19)} ${swap.imageIds.before === swap.imageIds.after ? `${mark(true)} the same as before` : `${mark(false)} was ${swap.imageIds.before}`}`,
      );
      more('before it', swap.preRestore.path ?? swap.preRestore.id ?? 'not kept');
      line();
    },
    end: (ok) =>
      line(ok ? `${mark(true)} ${bold('Nothing was lost.')}` : `${mark(false)} ${bold('Something differs.')}`),
    failed: (text) => {
      line(`${mark(false)} ${text}`);
      if (log !== undefined) line(dim(log()));
      log = undefined;
    },
    onFailure: (told) => {
      log = told;
    },
  };
}
