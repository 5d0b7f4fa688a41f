import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Of each project runs the listed files first, in the order of the list. Without it a machine that has not run them before
 * begins with the largest file, and a long one that comes last is waited for alone.
 */
export const listedFirst = (names: readonly string[]): typeof BaseSequencer => {
  const places = new Map(names.map((name, place) => [path.resolve(name), place]));
  const placeOf = ({ moduleId }: TestSpecification) => places.get(path.resolve(moduleId)) ?? names.length;
  return class extends BaseSequencer {
    override async sort(specs: TestSpecification[]): Promise<TestSpecification[]> {
      const sorted = await super.sort(specs);
      const projects = [...new Set(sorted.map(({ project }) => project))];
      return projects.flatMap((project) =>
        sorted.filter((spec) => spec.project === project).toSorted((a, b) => placeOf(a) - placeOf(b)),
      );
    }
  };
};
