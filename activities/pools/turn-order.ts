import type { Turns } from '../../runtime/turns.js';

interface Waiting {
  /** Class of priority. */
  readonly rank: number;
  readonly tenant: string;
  /** Sort key of the classes' first calls. */
  readonly due: number;
}

/** The calls of one tenant in one class, in order of arrival. */
interface Line<W> {
  readonly tenant: string;
  readonly calls: W[];
  /** Which one is next. */
  at: number;
}

/**
 * The order in which waiting calls are tried: in each class the calls of the tenant whose turn it is, and among the classes' first calls the one that is due
 * first. A call that is tried in vain costs a step; only tenants are compared with one another, when they are sorted and when one of them has had its turn.
 */
export class TurnOrder<W extends Waiting> {
  readonly #turns: Turns;
  /** A list for each class. The line whose turn it is comes last. */
  readonly #classes: readonly Line<W>[][];

  /** @param waiting in order of arrival */
  constructor(waiting: Iterable<W>, turns: Turns) {
    this.#turns = turns;
    this.#classes = [...linesOf(waiting).values()].map((lines) => {
      // Of tenants that have had no turn the one that came first comes last.
      const list = [...lines.values()].reverse();
      return list.sort((one, other) => this.#compare(one, other));
    });
  }

  /** The call to try next, each once. */
  next(): W | undefined {
    let lines: Line<W>[] | undefined;
    let first: W | undefined;
    for (const each of this.#classes) {
      const call = headOf(each);
      if (call && (first === undefined || call.due < first.due)) [lines, first] = [each, call];
    }
    const line = lines?.at(-1);
    if (line) line.at += 1;
    if (line?.at === line?.calls.length) lines?.pop();
    return first;
  }

  /** A call of the tenant has got its place: others may come before its next ones. */
  served(tenant: string): void {
    for (const lines of this.#classes) {
      const at = lines.findLastIndex((line) => line.tenant === tenant);
      const [line] = at < 0 ? [] : lines.splice(at, 1);
      if (line) lines.splice(this.#placeOf(tenant, lines), 0, line);
    }
  }

  /** Where a tenant's line belongs: before the first line that precedes it. */
  #placeOf(tenant: string, lines: readonly Line<W>[]): number {
    let [low, high] = [0, lines.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = lines[middle];
      if (other && this.#turns.precedes(other.tenant, tenant)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #compare({ tenant: one }: Line<W>, { tenant: other }: Line<W>): number {
    if (this.#turns.precedes(one, other)) return 1;
    return this.#turns.precedes(other, one) ? -1 : 0;
  }
}

const headOf = <W>(lines: readonly Line<W>[]): W | undefined => {
  const line = lines.at(-1);
  return line?.calls[line.at];
};

/** By class and tenant. */
function linesOf<W extends Waiting>(waiting: Iterable<W>): Map<number, Map<string, Line<W>>> {
  const classes = new Map<number, Map<string, Line<W>>>();
  for (const call of waiting) {
    const lines = classes.get(call.rank) ?? new Map<string, Line<W>>();
    classes.set(call.rank, lines);
    const line = lines.get(call.tenant);
    if (line) line.calls.push(call);
    else lines.set(call.tenant, { tenant: call.tenant, calls: [call], at: 0 });
  }
  return classes;
}
