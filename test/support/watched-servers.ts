import { TritonClient } from '../../activities/connectors/triton/index.js';
import { address } from './runs.js';
import { loadTestModel, type TestModel } from './triton-models.js';

/** Longest wait for a server to say what it does, in milliseconds: what is measured here is below one second, and a model is unloaded by them. */
const ASK_MS = 60_000;

/** A real model server that tells, by counters of its own, whether it works on a call. */
export interface WatchedServer {
  /** Begins to count: the calls that end from now on are those that are looked at. */
  watch(): Promise<Watch>;
  close(): Promise<void>;
}

export interface Watch {
  /** Whether the server has ended this many calls, and works on none. */
  hasEnded(calls: number): Promise<boolean>;
  /** Whether a look has found it at work, where it says so: before that it cannot be said to have ended. */
  readonly begun: boolean;
  /** Steps of work that it has done since it was started, if it counts them: between two of them it may notice that nobody listens. */
  steps?(): Promise<number>;
}

/** Triton counts a request of a Python model when its work has ended, by itself or by cancellation. */
export async function watchedTriton(models: readonly TestModel[]): Promise<WatchedServer> {
  const client = new TritonClient(address('TRITON_URL'));
  for (const model of models) await loadTestModel(client, model);
  const ended = async () => {
    const limit = AbortSignal.timeout(ASK_MS);
    const all = (await Promise.all(models.map((model) => client.statistics(model, limit)))).flat();
    return all.reduce((sum, { succeeded, failed }) => sum + succeeded + failed, 0);
  };
  return {
    async watch() {
      const before = await ended();
      // It does not count the steps of a Python model, which takes little time for each.
      return { begun: true, hasEnded: async (calls) => (await ended()) === before + calls };
    },
    async close() {
      for (const model of models) await client.unload(model, AbortSignal.timeout(ASK_MS));
      client.close();
    },
  };
}

/** llama.cpp's server counts the requests that it decodes now; those that have ended are not told apart. */
export function watchedLlm(): WatchedServer {
  const url = address('LLM_BASE_URL').replace(/\/v1$/, '/metrics');
  const counted = async (name: string) => {
    const text = await (await fetch(url, { signal: AbortSignal.timeout(ASK_MS) })).text();
    const [, count] = new RegExp(`^llamacpp:${name} (\\d+)`, 'm').exec(text) ?? [];
    if (count === undefined) throw new Error(`${url} does not tell ${name}`);
    return Number(count);
  };
  return {
    async watch() {
      let begun = false;
      return {
        get begun() {
          return begun;
        },
        async hasEnded() {
          const now = await counted('requests_processing');
          begun ||= now > 0;
          return begun && now === 0;
        },
        steps: () => counted('n_decode_total'),
      };
    },
    async close() {},
  };
}
