/** What a choice among variants weighs up. */
export interface Weighed {
  readonly variant: string;
  readonly p50Ms: number;
  readonly memoryMiB: number;
  readonly quality: number;
}

/** Of two lists of costs in the same order: the first is no higher in anything, and lower in something. */
export const beats = (a: readonly number[], b: readonly number[]): boolean =>
  a.every((cost, i) => cost <= (b[i] ?? cost)) && a.some((cost, i) => cost < (b[i] ?? cost));

const costsOf = ({ p50Ms, memoryMiB, quality }: Weighed): readonly number[] => [p50Ms, memoryMiB, -quality];

/** The variants that no other one beats in time, memory and quality at once, the fastest first. */
export const paretoFront = <T extends Weighed>(all: readonly T[]): readonly T[] =>
  all.filter((one) => !all.some((other) => beats(costsOf(other), costsOf(one)))).sort((a, b) => a.p50Ms - b.p50Ms);
