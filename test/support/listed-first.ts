import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Runs the listed files in the order of the list, wherever they fall among the others. Without it a machine that has not run
 * them before begins with the largest file, and a long one that comes last is waited for alone.
 */
export const listedFirst = (names: readonly string[]): typeof BaseSequencer => {
  const places = new Map(names.map((name, place) => [path.resolve(name), place]));
  const placeOf = ({ moduleId }: TestSpecification) => places.get(path.resolve(moduleId)) ?? -1;
  return class extends BaseSequencer {
    override async sort(specs: TestSpecification[]): Promise<TestSpecification[]> {
      const sorted = await super.sort(specs);
      const listed = sorted.filter((spec) => placeOf(spec) >= 0).toSorted((a, b) => placeOf(a) - placeOf(b));
      return sorted.map((spec) => (placeOf(spec) < 0 ? spec : (listed.shift() as TestSpecification)));
    }
  };
};
