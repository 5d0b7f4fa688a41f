import { afterAll, beforeAll, expect, vi } from 'vitest';
import type { Call } from '../../activities/connectors/connector.js';
import { TritonClient, tritonConnector } from '../../activities/connectors/triton/index.js';
import type { Dtype } from '../../pipelines/media.js';
import { caught } from '../support/caught.js';
import { address } from '../support/runs.js';
import { loadTestModel, type TestModel } from '../support/triton-models.js';

export type Data = (number | string | boolean)[];

export const limit = () => AbortSignal.timeout(60_000);

export const value = (dtype: Dtype, shape: number[], data: Data) => ({ dtype, shape, data });

export const call = (use: { model: string; with: Call['with'] }, input: Call['input']): Call => ({
  kind: 'infer',
  model: use.model,
  with: use.with,
  input,
});

/** The stack’s Triton with models of test/fixtures/triton-models, which are loaded for the file’s tests. */
export function tritonWith(models: readonly TestModel[]) {
  const endpoint = address('TRITON_URL');
  const client = new TritonClient(endpoint);
  const backend = tritonConnector().connect(endpoint);
  beforeAll(async () => {
    for (const model of models) await loadTestModel(client, model);
  });
  afterAll(async () => {
    for (const model of models) await client.unload(model, limit());
    backend.close();
    client.close();
  });
  /** How many calls Triton counts for a canary of a model. Those of other tests count too. */
  const callsOfCanary = async (model: string) => {
    const counted = async () => {
      const [statistics] = await client.statistics(model, limit());
      return (statistics?.succeeded ?? 0) + (statistics?.failed ?? 0);
    };
    const before = await counted();
    await backend.probe(model, 'infer', limit());
    await vi.waitFor(async () => expect(await counted()).toBeGreaterThan(before), 30_000);
    return (await counted()) - before;
  };
  /** Triton counts a call shortly after it has answered: one of a test before may be counted beside a canary. */
  const callsOfCanaryAlone = (model: string) =>
    caught('a canary with no other call beside it', async () => {
      const calls = await callsOfCanary(model);
      return calls === 1 ? calls : undefined;
    });
  return { endpoint, client, backend, callsOfCanary, callsOfCanaryAlone };
}
