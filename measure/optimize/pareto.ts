/** What a choice among variants weighs up. */
export interface Weighed {
  readonly variant: string;
  readonly p50Ms: number;
  readonly memoryMiB: number;
  readonly quality: number;
}

/** No worse in anything, and better in something. */
const beats = (a: Weighed, b: Weighed): boolean =>
  a.p50Ms <= b.p50Ms &&
  a.memoryMiB <= b.memoryMiB &&
  a.quality >= b.quality &&
  (a.p50Ms < b.p50Ms || a.memoryMiB < b.memoryMiB || a.quality > b.quality);

/** The variants that no other one beats in time, memory and quality at once, the fastest first. */
export const paretoFront = <T extends Weighed>(all: readonly T[]): readonly T[] =>
  all.filter((one) => !all.some((other) => beats(other, one))).sort((a, b) => a.p50Ms - b.p50Ms);
