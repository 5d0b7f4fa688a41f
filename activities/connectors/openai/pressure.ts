import { APIError, type OpenAI } from 'openai';
import type { Pressure } from '../connector.js';

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

/** What the server's `/metrics` says of its load; undefined if it has none that is known. */
export async function pressure(client: OpenAI, signal: AbortSignal): Promise<Pressure | undefined> {
  const base = client.baseURL.replace(/\/v1\/?$/, '');
  try {
    const response = await client.get(`${base}/metrics`, { signal }).asResponse();
    return pressureIn(await response.text());
  } catch (error) {
    if (error instanceof APIError && error.status !== undefined && error.status < 502) return undefined;
    throw error;
  }
}

/** Reads gauges in Prometheus' text format; those of several engines or models are added, the fullest cache counts. */
export function pressureIn(text: string): Pressure | undefined {
  const values = new Map<string, number[]>();
  for (const line of text.split('\n')) {
    const [, name = '', value = ''] = /^([A-Za-z_:][\w:]*)(?:\{[^}]*\})?\s+(\S+)/.exec(line) ?? [];
    if (name === '' || !Number.isFinite(Number(value))) continue;
    values.set(name, [...(values.get(name) ?? []), Number(value)]);
  }
  for (const { running, waiting, cache } of GAUGES) {
    const [runs, waits, uses] = [running, waiting, cache].map((name) => values.get(name));
    if (!runs || !waits) continue;
    return { running: sum(runs), waiting: sum(waits), ...(uses && { cacheUse: Math.max(...uses) }) };
  }
  return undefined;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
