import { keepNewest } from '../../pipelines/keep-newest.js';
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

/** Most models that are counted, over all tenants: those that were used last. Each takes some 500 bytes. */
const MOST_COUNTED = 10_000;

/** A model as one tenant uses it: what the others do with it is not told to it. */
interface CountedModel {
  readonly tenant: string;
  readonly model: string;
}

/** Statistics of each tenant's models since this gateway started, in the form of Triton's statistics extension. */
export class Statistics {
  readonly #counts = new Map<string, Counts>();

  succeeded(of: CountedModel, ms: number, { stages = [] }: RunDocument): void {
    const counts = this.#use(of);
    counts.lastInference = Date.now();
    add(counts.success, ms);
    add(counts.queue, sum(stages.map(({ queueMs = 0 }) => queueMs)));
    add(counts.compute, sum(stages.map(({ runMs = 0 }) => runMs)));
  }

  failed(of: CountedModel, ms: number): void {
    add(this.#use(of).fail, ms);
  }

  /** A row of `model_stats`. Numbers are JSON numbers, which gRPC's encoder accepts too. */
  row(of: CountedModel, version: string) {
    const { lastInference, success, fail, queue, compute } = this.#counts.get(keyOf(of)) ?? none();
    return {
      name: of.model,
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

  #use(of: CountedModel): Counts {
    const key = keyOf(of);
    const counts = this.#counts.get(key) ?? none();
    this.#counts.delete(key);
    this.#counts.set(key, counts);
    keepNewest(this.#counts, MOST_COUNTED);
    return counts;
  }
}

const keyOf = ({ tenant, model }: CountedModel): string => JSON.stringify([tenant, model]);

function none(): Counts {
  const zero = () => ({ count: 0, ns: 0 });
  return { lastInference: 0, success: zero(), fail: zero(), queue: zero(), compute: zero() };
}

function add(duration: Duration, ms: number): void {
  duration.count += 1;
  duration.ns += Math.round(ms * NS_PER_MS);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
