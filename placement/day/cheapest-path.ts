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
 * candidates. Where the hours repeat, it is solved for each candidate of the first hour. Where costs are equal, the candidate of
 * the hour before stays. Undefined if there is no sequence.
 */
export function cheapestPath(choices: Choices): Path | undefined {
  const [first = []] = choices.hourly;
  const starts = first.flatMap((cost, c) => (cost < Number.POSITIVE_INFINITY ? [c] : []));
  const tried = choices.repeats ? starts.map((start) => [start]) : [starts];
  let best: Path | undefined;
  for (const each of tried) {
    const path = pathFrom(choices, each);
    if (path && (best === undefined || path.cost < best.cost - TIE)) best = path;
  }
  return best;
}

/** Costs that differ by less are equal: sums in another order. */
const TIE = 1e-9;

/** The cheapest path that begins with one of these candidates; with `repeats` there is one, and the path returns to it. */
function pathFrom({ hourly, switching, mostSwitches, repeats }: Choices, starts: readonly number[]): Path | undefined {
  const count = hourly[0]?.length ?? 0;
  // Without a limit changes need not be counted: there is one layer.
  const limited = mostSwitches !== undefined && mostSwitches < hourly.length;
  const layers = limited ? mostSwitches + 1 : 1;
  const layerAfter = (layer: number, from: number, to: number) => (limited && from !== to ? layer + 1 : layer);
  let costs = new Float64Array(layers * count).fill(Number.POSITIVE_INFINITY);
  for (const start of starts) costs[start] = hourly[0]?.[start] ?? Number.POSITIVE_INFINITY;
  // By hour and state: the state of the hour before.
  const before: Int32Array[] = [];
  for (const hour of hourly.slice(1)) {
    const next = new Float64Array(layers * count).fill(Number.POSITIVE_INFINITY);
    const from = new Int32Array(layers * count).fill(-1);
    for (const [state, cost] of costs.entries()) {
      if (cost === Number.POSITIVE_INFINITY) continue;
      const [layer, at] = [Math.floor(state / count), state % count];
      for (let to = 0; to < count; to += 1) {
        const reached = layerAfter(layer, at, to);
        if (reached >= layers) continue;
        const total = cost + (switching[at]?.[to] ?? 0) + (hour[to] ?? 0);
        const goal = reached * count + to;
        const known = next[goal] as number;
        // Equal costs: no change is better than one.
        if (total < known - TIE || (at === to && total <= known)) {
          next[goal] = total;
          from[goal] = state;
        }
      }
    }
    costs = next;
    before.push(from);
  }
  let end = -1;
  let least = Number.POSITIVE_INFINITY;
  const back = repeats && hourly.length > 1 ? starts[0] : undefined;
  for (const [state, cost] of costs.entries()) {
    const at = state % count;
    const closing = back === undefined ? 0 : (switching[at]?.[back] ?? 0);
    const layer = back === undefined ? 0 : layerAfter(Math.floor(state / count), at, back);
    if (layer >= layers || cost + closing >= least - TIE) continue;
    least = cost + closing;
    end = state;
  }
  if (end < 0) return undefined;
  const chosen = [end % count];
  for (const from of before.toReversed()) {
    end = from[end] ?? 0;
    chosen.unshift(end % count);
  }
  return { chosen, cost: least, switches: switchesOf(chosen, back !== undefined) };
}

/** Hours whose candidate is another than that of the hour before; `repeats`: also from the last hour to the first. */
const switchesOf = (chosen: readonly number[], repeats: boolean): number =>
  chosen.filter((candidate, h) => (h > 0 || repeats) && candidate !== chosen.at(h - 1)).length;
