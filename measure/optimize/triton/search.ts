/** The neighbour of a candidate along one coordinate, upwards (1) or downwards (-1); undefined where there is none. */
export type Step<C> = (at: C, direction: 1 | -1) => C | undefined;

export interface SearchOptions<C, O> {
  readonly start: C;
  /** One for each coordinate, in the order in which they are searched. */
  readonly steps: readonly Step<C>[];
  /** Measures a candidate; undefined: it does not work. One that was measured before must cost nothing. */
  tryOut(candidate: C): Promise<O | undefined>;
  /** Clearly better: what two measurements of one candidate may differ by is no improvement. */
  better(one: O, other: O): boolean;
  /** No more candidates may be measured. */
  spent(): boolean;
}

/**
 * Coordinate search: along one coordinate after the other it goes on as long as each step is better, until no step along any of them is, or
 * the budget is spent. It finds a local optimum: settings that only help together are not found. Every candidate of the way has been
 * measured; the start must work. Model Analyzer's "quick search" climbs likewise, with a step along all coordinates at once
 * (https://github.com/triton-inference-server/model_analyzer, docs/config_search.md).
 */
export async function coordinateSearch<C, O>(
  first: O,
  { start, steps, tryOut, better, spent }: SearchOptions<C, O>,
): Promise<{ readonly at: C; readonly outcome: O }> {
  let best = { at: start, outcome: first };
  const climb = async (step: Step<C>, direction: 1 | -1): Promise<boolean> => {
    for (let moved = false; ; moved = true) {
      const next = step(best.at, direction);
      if (next === undefined || spent()) return moved;
      const outcome = await tryOut(next);
      if (outcome === undefined || !better(outcome, best.outcome)) return moved;
      best = { at: next, outcome };
    }
  };
  for (let moved = true; moved && !spent(); ) {
    moved = false;
    // The other direction is where a way that has led somewhere came from.
    for (const step of steps) if ((await climb(step, 1)) || (await climb(step, -1))) moved = true;
  }
  return best;
}
