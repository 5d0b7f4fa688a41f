import fc from 'fast-check';

/** Where random plans take their choices from: fast-check's, so that a failing plan is shrunk and comes back by its seed. */
export interface Chooser {
  /** Both ends included. */
  int(min: number, max: number): number;
  chance(share: number): boolean;
  pick<T>(from: readonly T[]): T;
}

/** Values made by `make` of random choices. */
export const chosen = <T>(make: (choose: Chooser) => T): fc.Arbitrary<T> =>
  fc.gen().map((generate) => {
    const int = (min: number, max: number) => generate(fc.integer, { min, max });
    return make({
      int,
      // Shrinks towards false: towards less of everything.
      chance: (share) => int(0, 99) >= 100 * (1 - share),
      pick: (from) => from[int(0, from.length - 1)] as (typeof from)[number],
    });
  });
