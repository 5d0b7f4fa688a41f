import type { OpenAI } from 'openai';
import { APIError } from 'openai/core/error';
import type { Pressure } from '../connector.js';
import { chunksOf } from '../exchange.js';

/** Gauges by server: vLLM, SGLang, llama.cpp (with `--metrics`). */
const GAUGES = [
  { running: 'vllm:num_requests_running', waiting: 'vllm:num_requests_waiting', cache: 'vllm:kv_cache_usage_perc' },
  { running: 'sglang:num_running_reqs', waiting: 'sglang:num_queue_reqs', cache: 'sglang:token_usage' },
  {
    running: 'llamacpp:requests_processing',
    waiting: 'llamacpp:requests_deferred',
    cache: 'llamacpp:kv_cache_usage_ratio',
  },
] as const;

const KNOWN: ReadonlySet<string> = new Set(GAUGES.flatMap((names) => Object.values(names)));

/** Longest report that is read, in bytes; that of vLLM has some 100 kB. */
const LONGEST = 4 * 1_024 * 1_024;

/** What the server's `/metrics` says of its load; undefined if it has none that is known, or a longer one. */
export async function pressure(client: OpenAI, signal: AbortSignal): Promise<Pressure | undefined> {
  const base = client.baseURL.replace(/\/v1\/?$/, '');
  try {
    const report = await reportIn(await client.get(`${base}/metrics`, { signal }).asResponse(), signal);
    return report === undefined ? undefined : pressureIn(report);
  } catch (error) {
    if (error instanceof APIError && error.status !== undefined && error.status < 502) return undefined;
    throw error;
  }
}

async function reportIn(response: Response, signal: AbortSignal): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunksOf(response, signal)) {
    length += chunk.byteLength;
    if (length > LONGEST) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The values of a gauge: those of several engines or models. */
interface Gauge {
  readonly sum: number;
  readonly most: number;
}

/** Reads gauges in Prometheus' text format; those of several engines or models are added, the fullest cache counts. */
export function pressureIn(text: string): Pressure | undefined {
  const gauges = new Map<string, Gauge>();
  for (const line of text.split('\n')) {
    const [, name = '', value = ''] = /^([A-Za-z_:][\w:]*)(?:\{[^}]*\})?\s+(\S+)/.exec(line) ?? [];
    if (!KNOWN.has(name) || !Number.isFinite(Number(value))) continue;
    const { sum, most } = gauges.get(name) ?? { sum: 0, most: Number.NEGATIVE_INFINITY };
    gauges.set(name, { sum: sum + Number(value), most: Math.max(most, Number(value)) });
  }
  for (const { running, waiting, cache } of GAUGES) {
    const [runs, waits, uses] = [running, waiting, cache].map((name) => gauges.get(name));
    if (!runs || !waits) continue;
    return { running: runs.sum, waiting: waits.sum, ...(uses && { cacheUse: uses.most }) };
  }
  return undefined;
}
