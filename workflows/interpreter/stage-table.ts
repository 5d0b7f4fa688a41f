import type { RunContext, StageOutcome, StageRecord } from '../../pipelines/plan/index.js';
import type { StageError } from './host.js';

/** The stages of a run and how far each is; the source of the live table, of the result and of failure details. */
export class StageTable {
  readonly #rows: Map<string, StageRecord>;
  readonly #onChange: (rows: readonly StageRecord[]) => void;

  constructor({ plan, placement }: RunContext, onChange: (rows: readonly StageRecord[]) => void) {
    this.#rows = new Map(
      plan.stages.map(({ id, kind, model }) => {
        const { connector = '', device = '' } = placement[id] ?? {};
        return [id, { stage: id, kind, connector, model, device, status: 'waiting' }];
      }),
    );
    this.#onChange = onChange;
  }

  get rows(): readonly StageRecord[] {
    return [...this.#rows.values()];
  }

  start(stage: string): void {
    this.#change(stage, { status: 'running' });
  }

  finish(stage: string, { output: _, ...rest }: StageOutcome): void {
    this.#change(stage, { status: 'done', ...rest });
  }

  fail(stage: string, { code, message }: StageError): void {
    this.#change(stage, { status: 'failed', error: { code, message } });
  }

  /** The run is over: nothing runs any more. */
  close(): void {
    for (const { stage, status } of this.rows) if (status === 'running') this.#change(stage, { status: 'cancelled' });
  }

  #change(stage: string, change: Partial<StageRecord>): void {
    const row = this.#rows.get(stage);
    if (row) this.#rows.set(stage, { ...row, ...change });
    this.#onChange(this.rows);
  }
}

const COLUMNS = ['stage', 'served by', 'status', 'attempt', 'cache', 'queue ms', 'run ms'];

/** The table in markdown, as the Temporal UI shows it under the run's details; few columns, for its pane is narrow. */
export function stageTableMarkdown(rows: readonly StageRecord[]): string {
  const line = (cells: readonly (string | number)[]) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  const body = rows.map((row) =>
    line([
      row.stage,
      row.cache === 'hit' || row.cache === 'shared' ? 'cache' : `${row.connector} · ${row.model} @${row.device}`,
      row.error ? `${row.status}: ${row.error.code}` : row.status,
      row.attempt ?? '',
      row.cache ?? '',
      row.queueMs ?? '',
      row.runMs ?? '',
    ]),
  );
  return [line(COLUMNS), line(COLUMNS.map(() => '---')), ...body].join('\n');
}
