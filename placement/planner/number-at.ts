import type { Load } from '../simulator/index.js';

/** Whether the load states a number for runs; else all have the typical one. */
export const isStated = ({ sizes }: Load, column: string | undefined): boolean =>
  column !== undefined && sizes[column] !== undefined;

/** By run, its number in a column of the load; where the load has none, the typical one, as the simulator takes it. */
export function numberAt({ sizes }: Load, column: string | undefined, typical: number): (run: number) => number {
  const values = column === undefined ? undefined : sizes[column];
  if (values === undefined) return () => typical;
  return (run) => {
    const value = values[run] ?? Number.NaN;
    return Number.isNaN(value) ? typical : value;
  };
}
