import { afterAll, beforeAll } from 'vitest';
import type { Backend, CallContext } from '../../activities/connectors/connector.js';
import { createConnectors } from '../../activities/connectors/index.js';
import { plainContext } from '../../activities/connectors/plain-context.js';
import { TritonClient } from '../../activities/connectors/triton/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { address } from '../support/runs.js';
import { loadTestModel, type TestModel } from '../support/triton-models.js';

/* Stage kinds served by models whose tensors are not Millrace's, through the tensor map of their pool, on a real Triton. */

export const limit = () => AbortSignal.timeout(60_000);
export const artifact = { uri: `artifact://t/${'0'.repeat(64)}`, sha256: '0'.repeat(64), mime: 'image/png', bytes: 1 };

export const context = (parts: Partial<CallContext> = {}): CallContext => ({ ...plainContext(limit()), ...parts });

/** Loads the models for the tests of a file. */
export function mappedModels(models: readonly TestModel[]) {
  const endpoint = address('TRITON_URL');
  const client = new TritonClient(endpoint);
  const opened: Backend[] = [];
  beforeAll(async () => {
    for (const model of models) await loadTestModel(client, model);
  });
  afterAll(async () => {
    for (const backend of opened) backend.close();
    for (const model of models.toReversed()) await client.unload(model, limit());
    client.close();
  });
  /** A backend as a pool of this kind with these options gets it. */
  const pool = (
    kind: string,
    tensors: JsonObject,
    options: JsonObject = {},
    connector = 'triton',
    url = endpoint,
  ): Backend => {
    const found = createConnectors().get(connector);
    if (!found) throw new Error(`no connector ${connector}`);
    const backend = found.connect(url, { kind, options: { tensors, ...options } });
    opened.push(backend);
    return backend;
  };
  return { endpoint, opened, pool };
}
