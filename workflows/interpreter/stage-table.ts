import type { Graph } from '../../pipelines/plan/index.js';
import {
  type MadeCall,
  type Placement,
  type StageDecision,
  type StageOutcome,
  type StageRecord,
  type TokenUsage,
  usageSum,
  visibleText,
  type Wait,
} from '../../pipelines/run/index.js';
import type { StageError } from '../../pipelines/run/stage-error.js';
import { rowsAtStart } from '../../pipelines/run/stage-rows.js';
import { decisionBytes, withDecisionsIn } from './shorter-rows.js';

/** Maximum bytes of all decisions that are kept: the table travels in Temporal payloads, whose size is limited. Some hundred fit, a thousand that only approve. */
const MOST_DECISION_BYTES = 300_000;

/** Maximum calls kept per row, the latest, likewise. */
const MOST_CALLS = 50;

/** The stages of a run and their state; source of the live table, the result and failure details. */
export class StageTable {
  readonly #rows = new Map<string, StageRecord>();
  readonly #held = new Map<string, number>();
  /** Starts of each stage that are under way in this process. */
  readonly #underWay = new Map<string, number>();
  readonly #onChange: (rows: readonly StageRecord[]) => void;

  constructor(graph: Graph, placement: Placement, onChange: (rows: readonly StageRecord[]) => void) {
    for (const row of rowsAtStart(graph, placement)) this.#rows.set(row.stage, row);
    this.#onChange = onChange;
  }

  get rows(): readonly StageRecord[] {
    return [...this.#rows.values()].map((row) =>
      row.status === 'waiting' && this.#held.has(row.stage) ? { ...row, status: 'running' } : row,
    );
  }

  /** Marks stages as held by a segment (1) or released (-1): until their rows arrive they are shown as running. */
  hold(stages: readonly string[], by: 1 | -1): void {
    for (const stage of stages) addTo(this.#held, stage, by);
    if (by > 0) this.#onChange(this.rows);
  }

  /** Counts the starts of a stage that are under way: one more (1), or one less (-1), however it has ended. */
  underWay(stage: string, by: 1 | -1): void {
    addTo(this.#underWay, stage, by);
  }

  /** Merges rows kept by another table. */
  take(rows: readonly StageRecord[]): void {
    if (rows.length === 0) return;
    for (const row of rows) {
      const before = this.#rows.get(row.stage);
      // There it has not started; here it has. One that has succeeded here stays done if it was skipped there.
      const isSkipped = row.instead !== undefined && before?.status !== 'done';
      if (before && startsOf(before) > 0 && startsOf(row) === 0 && !isSkipped) continue;
      const count = before && added(before, row);
      const usage = usageSum(before?.usage, row.usage);
      this.#rows.set(row.stage, { ...row, ...(count && { count }), ...(usage && { usage }) });
    }
    this.#onChange(this.rows);
  }

  start(stage: string, by: Partial<StageRecord> = {}): void {
    const row = this.#rows.get(stage);
    if (!row) return;
    const rest = withoutFailure(row);
    const started = startsOf(row) + 1;
    const done = row.count?.done ?? (row.status === 'done' ? 1 : 0);
    this.#rows.set(stage, { ...rest, ...by, status: 'running', ...(started > 1 && { count: { done, started } }) });
    this.#onChange(this.rows);
  }

  /** The same start, served by another candidate. */
  instead(stage: string, by: Partial<StageRecord>): void {
    const { error: _, ...row } = this.#rows.get(stage) ?? {};
    this.#rows.set(stage, { ...(row as StageRecord), ...by, status: 'running' });
    this.#onChange(this.rows);
  }

  finish(stage: string, { output: _, ...rest }: StageOutcome): void {
    const before = this.#rows.get(stage);
    const count = before?.count;
    const usage = usageSum(before?.usage, rest.usage);
    const counted = count && { ...count, done: count.done + 1 };
    // This one is still among them.
    const status = (this.#underWay.get(stage) ?? 0) > 1 ? 'running' : 'done';
    this.#change(stage, { status, ...rest, ...(usage && { usage }), ...(counted && { count: counted }) });
  }

  /** Current activity of a stage that makes many calls. */
  doing(stage: string, doing: string): void {
    this.#change(stage, { doing });
  }

  /** Adds the decision, or the timeout, of a wait of the stage or of one of its calls. The next change reports it. */
  decided(stage: string, decision: StageDecision): void {
    const row = this.#rows.get(stage);
    if (!row) return;
    this.#rows.set(stage, { ...row, decisions: [...(row.decisions ?? []), decision] });
    const rows = [...this.#rows.values()].filter(({ decisions }) => decisions !== undefined);
    if (rows.reduce((sum, each) => sum + decisionBytes(each), 0) <= MOST_DECISION_BYTES) return;
    const most = Math.floor(MOST_DECISION_BYTES / rows.length);
    for (const each of rows) this.#rows.set(each.stage, withDecisionsIn(each, most));
  }

  /** Decisions of a person that cover every call of a tool by the stage's agent: of each tool with the name. */
  standing(stage: string, tool: string): readonly StageDecision[] {
    const { decisions = [] } = this.#rows.get(stage) ?? {};
    return decisions.filter((decision) => decision.scope === 'run' && decision.tool === tool);
  }

  /** Adds calls that an agent has made. The next change reports them. */
  called(stage: string, calls: readonly MadeCall[]): void {
    const row = this.#rows.get(stage);
    if (!row) return;
    const more = calls.map(({ turn, name, end, code }) => ({ turn, name, end, ...(code !== undefined && { code }) }));
    const all = [...(row.calls ?? []), ...more];
    const gone = all.slice(0, -MOST_CALLS);
    const earlier = gone.length > 0 && { earlierCalls: countedWith(gone, row.earlierCalls) };
    this.#rows.set(stage, { ...row, calls: all.slice(-MOST_CALLS), ...earlier });
  }

  /** @param used by calls of the stage before it failed */
  fail(stage: string, { code, message }: StageError, used?: TokenUsage): void {
    const usage = usageSum(this.#rows.get(stage)?.usage, used);
    this.#change(stage, { status: 'failed', error: { code, message }, ...(usage && { usage }) });
  }

  cancel(stage: string): void {
    if (this.#rows.get(stage)?.status === 'running') this.#change(stage, { status: 'cancelled' });
  }

  skip(stage: string, instead?: string): void {
    const row = this.#rows.get(stage);
    // One that has succeeded before stays done.
    if (row?.status === 'waiting' || (instead !== undefined && row?.status !== 'done')) {
      this.#change(stage, { status: 'skipped', ...(instead !== undefined && { instead }) });
    }
  }

  /** Takes a start back: the stage begins again in the run's next history. */
  withdraw(stage: string): void {
    const row = this.#rows.get(stage);
    if (!row || row.status === 'waiting') return;
    const { count, ...rest } = row;
    const started = (count?.started ?? 1) - 1;
    const done = count?.done ?? 0;
    const status = started === 0 ? 'waiting' : started === done ? 'done' : 'running';
    this.#rows.set(stage, { ...rest, status, ...(started > 1 && { count: { done, started } }) });
    this.#onChange(this.rows);
  }

  /**
   * The run has ended: running stages become cancelled. After success waiting ones become skipped, and one of whose starts only some have
   * succeeded is done: its count says how many.
   */
  close(ended: 'done' | 'failed'): void {
    for (const { stage, status, count } of this.rows) {
      if (ended === 'done' && count && count.done > 0) this.#succeeded(stage);
      else if (status === 'running') this.#change(stage, { status: 'cancelled' });
      else if (status === 'waiting' && ended === 'done') this.#change(stage, { status: 'skipped' });
    }
  }

  #succeeded(stage: string): void {
    const row = this.#rows.get(stage);
    if (!row || row.status === 'done') return;
    this.#rows.set(stage, withoutFailure(row));
    this.#change(stage, { status: 'done' });
  }

  #change(stage: string, change: Partial<StageRecord>): void {
    const row = this.#rows.get(stage);
    if (!row) return;
    const { doing, cachedBy, ...rest } = row;
    const goesOn = change.status === undefined || change.status === 'running';
    this.#rows.set(stage, {
      ...rest,
      ...(goesOn && doing !== undefined && { doing }),
      // That of an earlier call says nothing of this one.
      ...(change.cache === undefined && cachedBy && { cachedBy }),
      ...change,
    });
    this.#onChange(this.rows);
  }
}

/** Numbers of calls that are done, by tool. */
function countedWith(calls: readonly MadeCall[], before: StageRecord['earlierCalls'] = {}): Record<string, number> {
  const counts = new Map(Object.entries(before));
  for (const { name, end } of calls) if (end === 'done') counts.set(name, (counts.get(name) ?? 0) + 1);
  return Object.fromEntries(counts);
}

function addTo(counts: Map<string, number>, stage: string, by: 1 | -1): void {
  const count = (counts.get(stage) ?? 0) + by;
  if (count > 0) counts.set(stage, count);
  else counts.delete(stage);
}

/** One that is skipped after it has failed keeps its error; another one has not started. */
const startsOf = ({ count, status, error }: StageRecord): number =>
  count?.started ?? (status === 'waiting' || (status === 'skipped' && error === undefined) ? 0 : 1);
const endsOf = ({ count, status }: StageRecord): number => count?.done ?? (status === 'done' ? 1 : 0);

/** The row without what says how its latest start failed, or why it was skipped. */
function withoutFailure({ error: _, instead, ...row }: StageRecord): StageRecord {
  return row.status !== 'skipped' && instead !== undefined ? { ...row, instead } : row;
}

function added(a: StageRecord, b: StageRecord): { done: number; started: number } | undefined {
  const started = startsOf(a) + startsOf(b);
  return started > 1 ? { started, done: endsOf(a) + endsOf(b) } : undefined;
}

const COLUMNS = ['stage', 'served by', 'status', 'attempt', 'cache', 'queue ms', 'run ms'];

/** The Temporal UI renders table columns without gaps but keeps no-break spaces. */
const GAP = '\u00a0\u00a0';

/**
 * The table in markdown, shown by the Temporal UI under the run's details. It has few columns, because the pane is
 * narrow; agents' activities follow below it, as code, because the UI replaces quotes in other text.
 */
export function stageTableMarkdown(rows: readonly StageRecord[], waits: readonly Wait[] = []): string {
  const line = (cells: readonly (string | number)[]) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|') + GAP).join(' | ')} |`;
  const body = rows.map((row) =>
    line([
      row.stage,
      row.cache === 'hit' || row.cache === 'shared' ? 'cache' : servedBy(row),
      row.error
        ? `${row.status}: ${row.error.code}`
        : [row.status, row.count && `${row.count.done}/${row.count.started}`].filter(Boolean).join(' '),
      row.attempt ?? '',
      row.cache ?? '',
      row.queueMs ?? '',
      row.runMs ?? '',
    ]),
  );
  const table = [line(COLUMNS), `|${COLUMNS.map(() => ' --- |').join('')}`, ...body];
  const doing = rows.flatMap((row) =>
    row.doing === undefined ? [] : [`- ${row.stage}: ${asCode(visibleText(row.doing))}`],
  );
  const waiting = waits.slice(0, MOST_SHOWN).map(waitMarkdown);
  if (waits.length > MOST_SHOWN) waiting.push(`- and ${waits.length - MOST_SHOWN} more waits`);
  const below = [...doing, ...waiting];
  return [...table, ...(below.length > 0 ? ['', ...below] : [])].join('\n');
}

/** Maximum number of waits shown. */
const MOST_SHOWN = 20;

/** What a person needs to decide with `temporal workflow update execute --name decide`. */
const waitMarkdown = ({ path, subject, nonce, until }: Wait): string =>
  `- ${asCode(path)} waits for a person until ${until}: ${asCode(short(subject))}, nonce ${asCode(nonce)}`;

/** Maximum length of a displayed subject, in characters: the details of a run have a size limit. */
const LONGEST_SUBJECT = 200;
/** On one line: line breaks in a subject could imitate other waits. */
function short(subject: string): string {
  const text = visibleText(subject.replace(/\s+/g, ' '));
  return text.length > LONGEST_SUBJECT ? `${text.slice(0, LONGEST_SUBJECT - 1)}…` : text;
}

const asCode = (text: string): string => `\`${text.replaceAll('`', "'")}\``;

const servedBy = ({ connector, model, device, instead }: StageRecord): string =>
  `${connector} · ${model}${device ? ` @${device}` : ''}${instead ? ` (after ${instead})` : ''}`;
