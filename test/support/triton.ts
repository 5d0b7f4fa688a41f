import { testSettings } from './settings.js';

/** Base URL of the tests' Triton over HTTP. */
export const tritonHttp = (): string => `http://127.0.0.1:${testSettings().MILLRACE_TRITON_HTTP_PORT}`;
const base = () => `${tritonHttp()}/v2/models`;

/** What Triton says of a model, which is not whether it works. */
export const modelReady = async (model: string): Promise<boolean> => (await fetch(`${base()}/${model}/ready`)).ok;

/** Successful inferences of a model since this Triton was started, by its own statistics. */
export async function inferences(model: string): Promise<number> {
  const body = (await (await fetch(`${base()}/${model}/stats`)).json()) as {
    model_stats: { inference_stats: { success: { count: number } } }[];
  };
  return body.model_stats.reduce((sum, { inference_stats }) => sum + inference_stats.success.count, 0);
}
