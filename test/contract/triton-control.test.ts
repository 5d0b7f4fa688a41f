import { afterAll, beforeAll, expect, it } from 'vitest';
import { tritonConnector } from '../../activities/connectors/triton/index.js';
import { type OwnTriton, ownTriton } from '../support/own-triton.js';

/* A Triton in its default control mode: models are loaded when it starts, and no client may load them again. */

const START_MS = 180_000;
const limit = () => AbortSignal.timeout(60_000);
let triton: OwnTriton;

beforeAll(async () => {
  triton = await ownTriton(['echo'], 'none');
}, START_MS);
afterAll(async () => {
  await triton?.stop();
});

it('a Triton that lets no client load models refuses a repair for good, and goes on serving', async () => {
  const endpoint = triton.grpc;
  const backend = tritonConnector().connect(endpoint);
  expect(backend.heal).toBeDefined();
  await expect(backend.heal?.('echo', limit())).rejects.toMatchObject({
    code: 'BACKEND_REJECTED',
    message: expect.stringMatching(/explicit model load/),
    details: { endpoint },
  });
  expect(backend.heal).toBeUndefined();
  await backend.probe('echo', 'infer', limit());
  backend.close();
});
