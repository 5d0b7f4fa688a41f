import { mulberry32, shuffled } from '../random.js';

/** Models, and the requests for them: the same in every run with the same seed. */
export interface BenchModel {
  readonly name: string;
  /** What stands for the reading of its weights, in milliseconds. */
  readonly loadMs: number;
}

/** Of the models’ loading times, from the fastest to the slowest. */
const LOAD_MS = { least: 200, most: 2_000 };
/** The n-th most popular model has 1/n of the requests of the most popular one. */
const SKEW = 1;

/** Models whose loading times are spread evenly on a logarithmic scale, in no order. */
export function modelsOf(count: number, seed: number): readonly BenchModel[] {
  const step = (LOAD_MS.most / LOAD_MS.least) ** (1 / Math.max(1, count - 1));
  const times = Array.from({ length: count }, (_, i) => Math.round(LOAD_MS.least * step ** i));
  return shuffled(times, mulberry32(seed)).map((loadMs, i) => ({ name: `cached_${i}`, loadMs }));
}

/** Requests for models, by Zipf’s law. In the middle other models become popular. */
export function requestsOf(models: readonly BenchModel[], count: number, seed: number): readonly BenchModel[] {
  const random = mulberry32(seed + 1);
  const weights = models.map((_, i) => 1 / (i + 1) ** SKEW);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const ranked = [shuffled(models, random), shuffled(models, random)] as const;
  return Array.from({ length: count }, (_, i) => {
    let left = random() * total;
    const place = weights.findIndex((weight) => {
      left -= weight;
      return left < 0;
    });
    return ranked[i < count / 2 ? 0 : 1].at(place) as BenchModel;
  });
}
