/** The choice of one candidate for each hour, in numbers. */
export interface Choices {
  /** By hour and candidate: the cost of the hour; infinite: the candidate does not serve it. */
  readonly hourly: readonly (readonly number[])[];
  /** From each candidate to each: the cost of the change; infinite: there is none. */
  readonly switching: readonly (readonly number[])[];
  /** Most changes; absent: any number. */
  readonly mostSwitches?: number | undefined;
  /** The last hour is followed by the first again, whose change counts like the others. */
  readonly repeats: boolean;
}

export interface Path {
  /** By hour: the index of its candidate. */
  readonly chosen: readonly number[];
  readonly cost: number;
  readonly switches: number;
}

/**
 * The cheapest sequence of candidates, by dynamic programming over (hour, candidate, changes so far): exact for these
 * candidates. Where the hours repeat, it is solved for each candidate of the first hour. Of sequences of equal cost one with the
 * fewest changes. Undefined if there is none.
 */
export function cheapestPath(choices: Choices): Path | undefined {
  const [first = []] = choices.hourly;
  const starts = first.flatMap((cost, c) => (cost < Number.POSITIVE_INFINITY ? [c] : []));
  const tried = choices.repeats ? starts.map((start) => [start]) : [starts];
  let best: Path | undefined;
  for (const each of tried) {
    const path = pathFrom(choices, each);
    if (path && (best === undefined || isBetter(path.cost, path.switches, best.cost, best.switches))) best = path;
  }
  return best;
}

/** Costs that differ by less are equal: sums in another order. */
const TIE = 1e-9;

const isBetter = (cost: number, switches: number, than: number, thanSwitches: number): boolean =>
  cost < than - TIE || (cost <= than + TIE && switches < thanSwitches);

/** The cheapest path that begins with one of these candidates; with `repeats` there is one, and the path returns to it. */
function pathFrom({ hourly, switching, mostSwitches, repeats }: Choices, starts: readonly number[]): Path | undefined {
  const count = hourly[0]?.length ?? 0;
  // Without a limit changes need not be counted: there is one layer.
  const limit = mostSwitches === undefined || mostSwitches >= hourly.length ? undefined : mostSwitches;
  const layers = (limit ?? 0) + 1;
  const layerAfter = (layer: number, from: number, to: number) =>
    limit !== undefined && from !== to ? layer + 1 : layer;
  let costs = new Float64Array(layers * count).fill(Number.POSITIVE_INFINITY);
  let changes = new Int32Array(layers * count);
  for (const start of starts) costs[start] = hourly[0]?.[start] ?? Number.POSITIVE_INFINITY;
  // By hour and state: the state of the hour before.
  const before: Int32Array[] = [];
  for (const hour of hourly.slice(1)) {
    const next = new Float64Array(layers * count).fill(Number.POSITIVE_INFINITY);
    const changed = new Int32Array(layers * count);
    const from = new Int32Array(layers * count).fill(-1);
    for (const [state, cost] of costs.entries()) {
      if (cost === Number.POSITIVE_INFINITY) continue;
      const [layer, at] = [Math.floor(state / count), state % count];
      for (let to = 0; to < count; to += 1) {
        const reached = layerAfter(layer, at, to);
        if (reached >= layers) continue;
        const total = cost + (switching[at]?.[to] ?? 0) + (hour[to] ?? 0);
        if (total === Number.POSITIVE_INFINITY) continue;
        const switches = (changes[state] as number) + Number(at !== to);
        const goal = reached * count + to;
        if (!isBetter(total, switches, next[goal] as number, changed[goal] as number)) continue;
        next[goal] = total;
        changed[goal] = switches;
        from[goal] = state;
      }
    }
    costs = next;
    changes = changed;
    before.push(from);
  }
  let end = -1;
  let least = Number.POSITIVE_INFINITY;
  let fewest = 0;
  const back = repeats && hourly.length > 1 ? starts[0] : undefined;
  for (const [state, cost] of costs.entries()) {
    const at = state % count;
    const to = back ?? at;
    const total = cost + (switching[at]?.[to] ?? 0);
    const switches = (changes[state] as number) + Number(at !== to);
    if (layerAfter(Math.floor(state / count), at, to) >= layers || total === Number.POSITIVE_INFINITY) continue;
    if (!isBetter(total, switches, least, fewest)) continue;
    least = total;
    fewest = switches;
    end = state;
  }
  if (end < 0) return undefined;
  const chosen = [end % count];
  for (const from of before.toReversed()) {
    end = from[end] ?? 0;
    chosen.unshift(end % count);
  }
  return { chosen, cost: least, switches: fewest };
}

/** The fewest changes with which all hours are served, whatever they cost and however many are allowed; undefined: none suffice. */
export function fewestSwitches({ hourly, switching, repeats }: Choices): number | undefined {
  const free = hourly.map((costs) => costs.map((cost) => (cost < Number.POSITIVE_INFINITY ? 0 : cost)));
  const counted = switching.map((row, from) =>
    row.map((cost, to) => (cost === Number.POSITIVE_INFINITY ? cost : from === to ? 0 : 1)),
  );
  return cheapestPath({ hourly: free, switching: counted, repeats })?.switches;
}
