import type { RunDocument } from '../../runs/document.js';

/** A count of requests and their total duration in nanoseconds. */
interface Duration {
  count: number;
  ns: number;
}

interface Counts {
  /** In milliseconds since 1970. */
  lastInference: number;
  readonly success: Duration;
  readonly fail: Duration;
  /** Queue and execution times of the stages of successful runs; parallel stages are added up. */
  readonly queue: Duration;
  readonly compute: Duration;
}

const NS_PER_MS = 1_000_000;

/** Statistics of the models since this gateway started, in the form of Triton's statistics extension. */
export class Statistics {
  readonly #counts = new Map<string, Counts>();

  succeeded(model: string, ms: number, { stages = [] }: RunDocument): void {
    const counts = this.#of(model);
    counts.lastInference = Date.now();
    add(counts.success, ms);
    add(counts.queue, sum(stages.map(({ queueMs = 0 }) => queueMs)));
    add(counts.compute, sum(stages.map(({ runMs = 0 }) => runMs)));
  }

  failed(model: string, ms: number): void {
    add(this.#of(model).fail, ms);
  }

  /** A row of `model_stats`. Numbers are JSON numbers, which gRPC's encoder accepts too. */
  row(name: string, version: string) {
    const { lastInference, success, fail, queue, compute } = this.#of(name);
    return {
      name,
      version,
      last_inference: lastInference,
      inference_count: success.count,
      execution_count: success.count,
      inference_stats: {
        success: { ...success },
        fail: { ...fail },
        queue: { ...queue },
        compute_input: { count: success.count, ns: 0 },
        compute_infer: { ...compute },
        compute_output: { count: success.count, ns: 0 },
      },
      batch_stats: [],
    };
  }

  #of(model: string): Counts {
    const known = this.#counts.get(model);
    if (known) return known;
    const zero = () => ({ count: 0, ns: 0 });
    const counts = { lastInference: 0, success: zero(), fail: zero(), queue: zero(), compute: zero() };
    this.#counts.set(model, counts);
    return counts;
  }
}

function add(duration: Duration, ms: number): void {
  duration.count += 1;
  duration.ns += Math.round(ms * NS_PER_MS);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
