import { afterAll, beforeAll, expect, it } from 'vitest';
import { MillraceClient } from '../../client/index.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { wavFile } from '../support/wav-samples.js';
import { WorkerProcess } from '../support/worker-process.js';

const QUEUE = 'code-artifacts';
const SETTINGS = {
  MILLRACE_PIPELINES: 'test/fixtures/code-artifacts.mjs',
  MILLRACE_TASK_QUEUE: QUEUE,
  MILLRACE_MAX_STAGE_MEDIA_BYTES: '100000',
};

let worker: WorkerProcess;
let gateway: GatewayProcess;
let client: MillraceClient;
beforeAll(async () => {
  [worker, gateway] = await Promise.all([WorkerProcess.start(QUEUE, SETTINGS), GatewayProcess.start(SETTINGS)]);
  client = new MillraceClient({ baseUrl: gateway.url });
});
afterAll(() => Promise.all([worker?.kill('SIGTERM'), gateway?.stop()]));

const speech = () => new Blob([wavFile({ sampleRate: 8_000, channels: 2, seconds: 0.5, amplitude: 0.25 })]);

it.each(['media-queued', 'media-inline'])('functions of %s read and write media', async (name) => {
  const { output, stages } = await client.run(name, { speech: speech(), copies: 2 });
  expect(output).toMatchObject({
    speech: { mime: 'audio/wav', sampleRate: 8_000, channels: 1, durationMs: 500 },
    bytes: 44 + 2 * 4_000,
    report: expect.stringMatching(/^artifact:\/\/default\//),
  });
  expect(stages).toMatchObject([{ stage: 'louder', conversions: ['8000 Hz stereo → 8000 Hz mono'] }, {}]);
  // A waiting caller has the output before Temporal has the end of the run, with its artifacts.
  const speechOf = () => client.artifact(output.speech as never);
  await expect
    .poll(() =>
      speechOf()
        .then(({ status }) => status)
        .catch(() => 404),
    )
    .toBe(200);
  const file = Buffer.from(await (await speechOf()).arrayBuffer());
  const loudest = Math.max(...Array.from({ length: 4_000 }, (_, i) => file.readInt16LE(44 + 2 * i)));
  expect(loudest / 32_768).toBeCloseTo(0.5, 2);
});

it.each(['media-queued', 'media-inline'])('the media of one call of %s are limited', async (name) => {
  await expect(client.run(name, { speech: speech(), copies: 3 })).rejects.toMatchObject({
    code: 'OUTPUT_BUDGET_EXCEEDED',
    run: { error: { stage: 'measured' } },
  });
});
