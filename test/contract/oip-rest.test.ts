import { afterAll, describe, expect, it } from 'vitest';
import type { Call } from '../../activities/connectors/connector.js';
import { oipRestConnector } from '../../activities/connectors/oip-rest/index.js';
import { TritonClient, tritonConnector } from '../../activities/connectors/triton/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { DTYPES, type Dtype, type Tensor } from '../../pipelines/media.js';
import { freePort } from '../support/free-port.js';
import { type MlServer, startMlServer } from '../support/mlserver.js';
import { inferences, tritonHttp } from '../support/triton.js';
import { loadTestModel } from '../support/triton-models.js';
import { connectorContract, invoke, noAudio } from './connector-contract.js';

const connector = oipRestConnector();
const DEAD = `http://127.0.0.1:${await freePort()}`;
const limit = () => AbortSignal.timeout(60_000);
const text = (...data: string[]): Tensor => ({ dtype: 'BYTES', shape: [1, data.length], data });

/** A call of `infer` whose formats are those of its tensors. */
function inferCall(model: string, inputs: Readonly<Record<string, Tensor>>, outputs: JsonObject): Call {
  const formats = Object.entries(inputs).map(([name, { dtype, shape }]) => [name, { dtype, shape }]);
  const options = { inputs: Object.fromEntries(formats), outputs };
  return { kind: 'infer', model, with: options, input: inputs as unknown as JsonObject };
}

const echo = (inputs: Readonly<Record<string, Tensor>>): Call => {
  const call = inferCall('echo', inputs, {});
  return { ...call, with: { inputs: call.with.inputs ?? {}, outputs: call.with.inputs ?? {} } };
};

/** Of every element type its least and greatest elements, and some that a careless reading would change. */
const EDGES: Readonly<Record<Dtype, readonly (number | string | boolean)[]>> = {
  BOOL: [true, false],
  UINT8: [0, 255],
  UINT16: [0, 65_535],
  UINT32: [0, 4_294_967_295],
  UINT64: [0, '18446744073709551615', '9007199254740993'],
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-2_147_483_648, 2_147_483_647],
  INT64: ['-9223372036854775808', '9223372036854775807', '-9007199254740993', 9_007_199_254_740_991],
  FP16: [0.5, -65_504],
  FP32: [0.25, -3.4028234663852886e38],
  FP64: [0.1, Number.MAX_VALUE, 5e-324],
  BF16: [0.5, -3.3895313892515355e38],
  BYTES: ['', 'é\u0000"\\😀', '9007199254740993'],
};
/** MLServer does not know BF16, which is an extension of the protocol. */
const everyType = Object.fromEntries(
  DTYPES.filter((dtype) => dtype !== 'BF16').map((dtype): [string, Tensor] => [
    dtype,
    { dtype, shape: [EDGES[dtype].length], data: EDGES[dtype] },
  ]),
);

async function* secondOfSilence() {
  yield new Float32Array(16_000);
}

/** Media that is not read: its model does not exist. */
const ABSENT = { uri: 'media://none', mime: 'audio/wav', bytes: 1, sha256: '0'.repeat(64) };

const passages = ['Bread is baked in an oven.', 'Paris is the capital of France.', 'France is a country.'];

const mlserver = await startMlServer();
if (typeof mlserver === 'string') {
  process.stderr.write(`MLServer is not tried: ${mlserver}\n`);
  describe.skip('oip-rest on MLServer', () => undefined);
} else {
  describe('oip-rest on MLServer', () => onMlServer(mlserver));
}

function onMlServer(server: MlServer): void {
  afterAll(() => server.stop());

  connectorContract({
    connector,
    endpoint: server.rest,
    deadEndpoint: DEAD,
    audio: { ...noAudio, read: secondOfSilence },
    refused: {
      chat: { call: { model: 'none', with: {}, input: { prompt: 'x' } }, code: 'MODEL_NOT_FOUND' },
      transcribe: { call: { model: 'none', with: {}, input: { audio: ABSENT } }, code: 'MODEL_NOT_FOUND' },
      detect: { call: { model: 'none', with: {}, input: { image: ABSENT } }, code: 'BACKEND_REJECTED' },
      synthesize: { call: { model: 'none', with: {}, input: { text: 'x' } }, code: 'MODEL_NOT_FOUND' },
    },
    calls: {
      infer: {
        call: echo(everyType),
        check: ({ output }) => expect(output).toEqual(everyType),
      },
      embed: {
        call: { model: 'embed', with: {}, input: { text: 'one two two' } },
        check({ output }) {
          const vector = output.embedding as number[];
          expect(vector).toHaveLength(16);
          expect(Math.hypot(...vector)).toBeCloseTo(1, 6);
          expect(Math.max(...vector)).toBeCloseTo(2 / Math.sqrt(5), 6);
        },
      },
      classify: {
        call: {
          model: 'tone',
          with: { labels: ['pleasant', 'unpleasant'] },
          input: { text: 'What an awful, sad day' },
        },
        check: ({ output }) =>
          expect(output).toEqual({ label: 'unpleasant', score: 0.75, scores: { pleasant: 0.25, unpleasant: 0.75 } }),
      },
      rerank: {
        call: {
          model: 'shared',
          with: { top: 2 },
          input: { query: 'capital of France', passages: passages.map((each, i) => ({ id: `p${i}`, text: each })) },
        },
        check: ({ output }) =>
          expect(output).toEqual({
            passages: [
              { id: 'p1', text: passages[1], score: 1 },
              { id: 'p2', text: passages[2], score: Math.fround(1 / 3) },
            ],
          }),
      },
    },
    longCall: inferCall('slow', { SECONDS: { dtype: 'FP32', shape: [1], data: [3] } }, { DONE: null }),
    badCall: inferCall('broken', { KIND: text('refused') }, {}),
  });

  describe('oip-rest: what only MLServer shows', () => {
    const backend = connector.connect(server.rest);

    it('says what is wrong with an answer, by the tensor', async () => {
      const call = inferCall('tone', { TEXT: text('x') }, { SCORES: { dtype: 'FP32', shape: [1, 3] } });
      await expect(invoke(backend, call)).rejects.toMatchObject({
        code: 'INVALID_OUTPUT',
        message: `tone at ${server.rest}: output tensor SCORES: shape [1,2] instead of [1,3]`,
        details: { endpoint: server.rest },
      });
      const labels = { labels: ['one', 'two', 'three'] };
      await expect(
        invoke(backend, { kind: 'classify', model: 'tone', with: labels, input: { text: 'x' } }),
      ).rejects.toMatchObject({ code: 'INVALID_OUTPUT', message: expect.stringContaining('2 scores for 3 labels') });
    });

    it('does not send what its formats refuse', async () => {
      const call = echo({ X: { dtype: 'UINT8', shape: [1], data: [1] } });
      const wrong = { ...call, input: { X: { dtype: 'UINT8', shape: [1], data: [256] } } };
      await expect(invoke(backend, wrong)).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        details: { fields: [{ field: 'X', message: 'element 0, 256, is not UINT8' }] },
      });
    });

    it('ranks no passages without a call', async () => {
      const call: Call = { kind: 'rerank', model: 'no-such-model', with: {}, input: { query: 'x', passages: [] } };
      expect((await invoke(backend, call)).output).toEqual({ passages: [] });
    });

    it('an exception in a model is BACKEND_ERROR', async () => {
      const call = inferCall('broken', { KIND: text('other') }, {});
      await expect(invoke(backend, call)).rejects.toMatchObject({ code: 'BACKEND_ERROR' });
    });

    it('says which models are loaded, and loads and unloads them', async () => {
      for (const { repository } of [backend, tritonConnector().connect(server.grpc)]) {
        if (!repository) throw new Error('it has no repository');
        expect((await repository.states(limit())).get('embed')).toBe('ready');
        await repository.unload('embed', limit());
        await expect.poll(async () => (await repository.states(limit())).has('embed')).toBe(false);
        await repository.load('embed', limit());
        expect((await repository.states(limit())).get('embed')).toBe('ready');
        await expect(repository.load('no-such-model', limit())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
      }
    });

    it('unloads and loads a model to repair it, and loads one that is unloaded', async () => {
      const call: Call = { kind: 'embed', model: 'embed', with: {}, input: { text: 'x' } };
      await backend.heal?.('embed', limit());
      await invoke(backend, call);
      await fetch(`${server.rest}/v2/repository/models/embed/unload`, { method: 'POST' });
      await expect(invoke(backend, call)).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
      await expect(backend.probe('embed', 'embed', limit())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
      await backend.heal?.('embed', limit());
      await invoke(backend, call);
      await expect(backend.heal?.('no-such-model', limit())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
      expect(backend.heal).toBeDefined();
    });
  });

  describe('triton (gRPC) on MLServer', () => {
    const backend = tritonConnector().connect(server.grpc);
    afterAll(() => backend.close());

    it('embeds as over REST', async () => {
      const call: Call = { kind: 'embed', model: 'embed', with: {}, input: { text: 'one two two' } };
      const { output } = await invoke(backend, call);
      expect(output).toEqual((await invoke(connector.connect(server.rest), call)).output);
    });

    it.each(DTYPES.filter((dtype) => dtype !== 'BF16'))('gives %s tensors back unchanged', async (dtype) => {
      const tensors = { X: everyType[dtype] as Tensor };
      expect((await invoke(backend, echo(tensors))).output).toEqual(tensors);
    });
  });
}

describe('oip-rest on Triton’s HTTP port', () => {
  const endpoint = tritonHttp();
  const backend = connector.connect(endpoint);

  connectorContract({
    connector,
    endpoint,
    deadEndpoint: `${DEAD}/prefix/`,
    audio: noAudio,
    calls: {
      infer: {
        call: inferCall('echo', { TEXT: text('é\u0000 😀') }, { OUT: { dtype: 'BYTES', shape: [-1, 1] } }),
        check: ({ output }) => expect(output).toEqual({ OUT: text('é\u0000 😀') }),
      },
      embed: {
        call: { model: 'minilm', with: {}, input: { text: 'What is the capital of France?' } },
        async check({ output }) {
          const call: Call = {
            kind: 'embed',
            model: 'minilm',
            with: {},
            input: { text: 'What is the capital of France?' },
          };
          const grpc = tritonConnector().connect(process.env.TEST_TRITON_URL ?? '');
          const same = (await invoke(grpc, call)).output.embedding as number[];
          grpc.close();
          const dot = (output.embedding as number[]).reduce((sum, value, i) => sum + value * (same[i] ?? 0), 0);
          expect(dot).toBeCloseTo(1, 5);
        },
      },
    },
    longCall: inferCall(
      'tts',
      { TEXT: text('She sells sea shells by the sea shore. '.repeat(100)) },
      { AUDIO: { dtype: 'INT16', shape: [1, -1] } },
    ),
    badCall: { kind: 'embed', model: 'whisper', with: {}, input: { text: 'whisper takes AUDIO' } },
  });

  it('makes one inference a call', async () => {
    const client = new TritonClient(process.env.TEST_TRITON_URL ?? '');
    // Its own: files that run at the same time call those of the stack.
    await loadTestModel(client, 'every-type', 'counted-over-http');
    const sent: Tensor = { dtype: 'INT8', shape: [1, 1], data: [7] };
    await invoke(backend, inferCall('counted-over-http', { INT8: sent }, { INT8_OUT: null }));
    // Triton counts a call shortly after it has answered.
    await expect.poll(() => inferences('counted-over-http')).toBeGreaterThan(0);
    expect(await inferences('counted-over-http')).toBe(1);
    await client.unload('counted-over-http', limit());
    client.close();
  });

  it('says what Triton says of a wrong shape', async () => {
    const call = inferCall('echo', { TEXT: text('a', 'b') }, { OUT: null });
    await expect(invoke(backend, call)).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.stringContaining("unexpected shape for input 'TEXT'"),
    });
  });

  it('cannot send half floats, which Triton has no JSON for', async () => {
    const call = inferCall('echo', { TEXT: { dtype: 'FP16', shape: [1, 1], data: [1] } }, { OUT: null });
    await expect(invoke(backend, call)).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
  });
});
