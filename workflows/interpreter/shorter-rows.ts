import type { Json } from '../../pipelines/json.js';
import { bytesOf } from '../../pipelines/json-limits.js';
import type { StageDecision, StageRecord } from '../../pipelines/run/index.js';

/** Each is measured once, however often others come after it. */
const sizes = new WeakMap<StageDecision, number>();

function sizeOf(decision: StageDecision): number {
  const known = sizes.get(decision);
  if (known !== undefined) return known;
  const bytes = bytesOf(decision as unknown as Json);
  sizes.set(decision, bytes);
  return bytes;
}

/** Bytes of the decisions of a row. */
export const decisionBytes = ({ decisions = [] }: StageRecord): number =>
  decisions.reduce((sum, decision) => sum + sizeOf(decision), 0);

/**
 * The row with no more bytes of decisions than this, but one. From the oldest on they lose what was changed or filled in, and so what they are
 * about: without it they are not applied again. Then they are left out, the oldest first, those that cover later calls last.
 */
export function withDecisionsIn(row: StageRecord, most: number): StageRecord {
  let bytes = decisionBytes(row);
  if (bytes <= most) return row;
  const decisions: StageDecision[] = [];
  for (const whole of row.decisions ?? []) {
    const kept = bytes > most ? withoutContents(whole) : whole;
    bytes -= sizeOf(whole) - sizeOf(kept);
    decisions.push(kept);
  }
  while (bytes > most && decisions.length > 1) {
    const spare = decisions.slice(0, -1).findIndex(({ scope }) => scope !== 'run');
    for (const gone of decisions.splice(Math.max(0, spare), 1)) bytes -= sizeOf(gone);
  }
  return { ...row, decisions, shortened: true };
}

function withoutContents(decision: StageDecision): StageDecision {
  const { arguments: changed, content, about: _, ...bare } = decision;
  return changed === undefined && content === undefined ? decision : bare;
}

/** What rows can do without, in the order in which all of them leave it out. */
const SPARE: readonly ((row: StageRecord) => StageRecord)[] = [
  (row) => withDecisionsIn(row, 20_000),
  (row) => {
    const { calls, earlierCalls: _, conversions, ...rest } = row;
    // Of the two a run that resumes this one needs the calls.
    return calls || conversions ? { ...rest, ...(calls && { shortened: true as const }) } : row;
  },
  (row) => withDecisionsIn(row, 2_000),
];

/** The rows in no more bytes than this, as far as they can do without anything. */
export function fittingRows(rows: readonly StageRecord[], most: number): readonly StageRecord[] {
  let fitting = rows;
  for (const spare of SPARE) {
    if (bytesOf(fitting as unknown as Json) <= most) break;
    fitting = fitting.map(spare);
  }
  return fitting;
}
