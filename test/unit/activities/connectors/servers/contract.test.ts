import { afterAll, describe, expect, it } from 'vitest';
import type { Call } from '../../../../../activities/connectors/connector.js';
import type { ContractCall } from '../../../../../activities/connectors/contract/index.js';
import { httpConnector } from '../../../../../activities/connectors/http/index.js';
import { oipRestConnector } from '../../../../../activities/connectors/oip-rest/index.js';
import { optionsOf } from '../../../../../activities/connectors/pool-options.js';
import { connectorContract, invoke } from '../../../../contract/connector-contract.js';
import { freePort } from '../../../../support/free-port.js';
import { blocksOf } from '../../../../support/pages.js';
import { asking, bytes, callsOf, silence, TWO_NUMBERS } from '../../../../support/preset-calls.js';
import { presetConnector } from '../../../../support/preset-connector.js';
import { type Asked, fixture, type Told } from './fixture-server.js';
import { azureml, kserveV1, rayServe, tensorflowServing, tgi, torchserve } from './fixtures.js';

/* The contract suite on presets, against fixtures. test/servers/ runs it against servers that install. */

interface Row {
  readonly preset: string;
  readonly tell: (asked: Asked) => Told;
  readonly key?: string;
  readonly unknownModel?: null;
  readonly calls: Readonly<Record<string, ContractCall>>;
}

const ROWS: readonly Row[] = [
  {
    preset: 'kserve-v1',
    tell: kserveV1,
    calls: callsOf(['classify', 'embed', 'infer', 'rerank'], { classify: TWO_NUMBERS }),
  },
  {
    preset: 'tensorflow-serving',
    tell: tensorflowServing,
    calls: callsOf(['classify', 'embed', 'infer'], { classify: TWO_NUMBERS }),
  },
  {
    preset: 'torchserve',
    tell: torchserve,
    key: 'token-of-the-fixture',
    calls: callsOf(['classify', 'embed', 'infer', 'transcribe', 'detect', 'chat']),
  },
  { preset: 'ray-serve', tell: rayServe, unknownModel: null, calls: callsOf(['classify', 'embed', 'infer']) },
  {
    preset: 'azureml',
    tell: azureml,
    key: 'key-of-the-endpoint',
    unknownModel: null,
    calls: callsOf(['classify', 'embed', 'infer', 'chat'], { chat: { text: 'Paris, of course', finish: 'stop' } }),
  },
  {
    preset: 'tgi',
    tell: tgi,
    unknownModel: null,
    calls: {
      chat: {
        call: {
          model: 'model',
          with: { maxTokens: 16, temperature: 0, topP: 1 },
          input: { prompt: 'What is the capital of France?', history: [] },
        },
        check({ output: made, usage }) {
          expect(made).toEqual({ text: 'Paris, of course', finish: 'stop' });
          expect(usage).toEqual({ inputTokens: 7, outputTokens: 4 });
        },
      },
    },
  },
];

for (const { preset, tell, key, unknownModel, calls } of ROWS) {
  describe(`${preset} (a fixture)`, async () => {
    const server = await fixture(tell);
    afterAll(() => server.close());
    const [kind = '', some] = Object.entries(calls)[0] ?? [];
    const field = kind === 'chat' ? 'prompt' : 'text';
    const askingIts = (text: string): Call => ({
      kind,
      model: 'model',
      with: some?.call.with ?? {},
      input: { ...some?.call.input, [field]: text },
    });
    connectorContract({
      connector: presetConnector(preset),
      endpoint: server.url,
      ...(key !== undefined && { key }),
      deadEndpoint: `http://127.0.0.1:${await freePort()}`,
      ...(unknownModel === null && { unknownModel }),
      refused: {},
      calls,
      audio: silence,
      bytes,
      longCall: askingIts('slow'),
      badCall: askingIts('bad'),
    });
  });
}

describe('Seldon Core (a fixture of its mesh)', () => {
  it('gets the headers that choose a model, a pipeline or an experiment’s branch with every request', async () => {
    const seldon = ({ path, headers, json }: Asked): Told => {
      if (headers['seldon-model'] !== 'income.pipeline') return { status: 404, text: '' };
      if (path.endsWith('/infer')) return { json: { outputs: json.inputs } };
      return { json: { name: 'income', versions: ['1'], inputs: [], outputs: [] } };
    };
    const server = await fixture(seldon);
    try {
      const headers = { 'seldon-model': 'income.pipeline', 'x-seldon-route': ':income_1:' };
      const backend = oipRestConnector().connect(server.url, undefined, undefined, { headers });
      const { infer } = callsOf(['infer']);
      const { call, check } = infer as Required<ContractCall>;
      await check(await invoke(backend, { ...call, kind: 'infer' }), []);
      await backend.probe('model', 'infer', AbortSignal.timeout(110_000));
      expect(server.asked.length).toBeGreaterThan(1);
      for (const asked of server.asked) expect(asked.headers).toMatchObject(headers);
    } finally {
      await server.close();
    }
  });
});

describe('an InferenceGraph of KServe, as its page describes it (a fixture)', () => {
  it('is asked at its URL, and has the status of the step that failed', async () => {
    const pools = blocksOf('docs/reference/servers/kserve.md', 'json').map(({ text }) => JSON.parse(text));
    const { options } = pools.find(({ breeds }) => breeds).breeds;
    const server = await fixture(({ method, path, json }) => {
      if (method !== 'POST' || path !== '/') return { status: 404, text: '' };
      if (json.instances[0] === 'bad') return { status: 400, json: { error: 'the step classifier refuses this' } };
      return { json: { predictions: [[0.75, 0.25]] } };
    });
    try {
      const http = httpConnector();
      const parsed = optionsOf(http, { kind: 'classify', options }, 'options');
      const backend = http.connect(server.url, undefined, parsed);
      expect((await invoke(backend, asking('text'))).output).toMatchObject({ label: 'yes', score: 0.75 });
      await expect(invoke(backend, asking('bad'))).rejects.toMatchObject({
        code: 'BACKEND_REJECTED',
        message: expect.stringContaining('the step classifier refuses this'),
      });
    } finally {
      await server.close();
    }
  });
});

describe('Ollama’s native API, as its page describes it (a fixture)', () => {
  const page = blocksOf('docs/reference/servers/openai-compatible.md', 'json').map(({ text }) => JSON.parse(text));
  const { options } = page.find(({ local }) => local?.connector === 'http').local;
  const lines = (...events: object[]) => ({
    headers: { 'content-type': 'application/x-ndjson' },
    parts: events.map((event) => `${JSON.stringify(event)}\n`),
  });
  const said = (content: string) => ({ model: 'm', message: { role: 'assistant', content }, done: false });
  const ollama = ({ json }: Asked): Told => {
    if (json.model !== 'model') return { status: 404, json: { error: `model '${json.model}' not found` } };
    if (json.messages[0].content === 'fails')
      return lines(said('Par'), { error: 'llama runner process has terminated' });
    const end = { ...said(''), done: true, done_reason: 'length', prompt_eval_count: 7, eval_count: 2 };
    return lines(said('Paris'), said(', of course'), end);
  };
  const chat = (prompt: string, model = 'model'): Call => ({
    kind: 'chat',
    model,
    with: { maxTokens: 2 },
    input: { prompt, history: [] },
  });

  it('streams lines of JSON, and says what went wrong in the middle', async () => {
    const server = await fixture(ollama);
    try {
      const http = httpConnector();
      const backend = http.connect(server.url, undefined, optionsOf(http, { kind: 'chat', options }, 'options'));
      const chunks: unknown[] = [];
      const reply = await invoke(backend, chat('hi'), undefined, (chunk) => void chunks.push(chunk));
      expect(reply).toEqual({
        output: { text: 'Paris, of course', finish: 'length' },
        usage: { inputTokens: 7, outputTokens: 2 },
      });
      expect(chunks.slice(0, 2)).toEqual(['Paris', ', of course']);
      expect(server.asked[0]?.json.options).toEqual({ num_ctx: 8192, num_predict: 2 });
      await expect(invoke(backend, chat('fails'))).rejects.toMatchObject({
        code: 'BACKEND_ERROR',
        message: expect.stringContaining('llama runner'),
      });
      await expect(invoke(backend, chat('hi', 'other'))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    } finally {
      await server.close();
    }
  });
});

describe('what presets do beyond the contract (fixtures)', () => {
  it('TensorFlow Serving: versions, labels and signatures by values', async () => {
    const server = await fixture(tensorflowServing);
    try {
      for (const [values, path, signature] of [
        [{ version: 2 }, '/v1/models/model/versions/2:predict', undefined],
        [{ label: 'stable', signature: 'score' }, '/v1/models/model/labels/stable:predict', 'score'],
      ] as const) {
        const backend = presetConnector('tensorflow-serving', { values }).connect(server.url);
        await invoke(backend, asking('text'));
        const { path: asked, json } = server.asked.at(-1) as Asked;
        expect([asked, json.signature_name]).toEqual([path, signature]);
        backend.close();
      }
      const gone = presetConnector('tensorflow-serving', { values: { version: 9 } }).connect(server.url);
      await expect(invoke(gone, asking('text'))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    } finally {
      await server.close();
    }
  });

  it('Azure ML: pins a deployment, and maps the model’s own status inside a 424', async () => {
    const server = await fixture(azureml);
    try {
      const pinned = presetConnector('azureml', { values: { deployment: 'blue' } }).connect(
        server.url,
        'key-of-the-endpoint',
      );
      await invoke(pinned, asking('text'));
      expect(server.asked.at(-1)?.headers['azureml-model-deployment']).toBe('blue');
      const green = presetConnector('azureml', { values: { deployment: 'green' } }).connect(
        server.url,
        'key-of-the-endpoint',
      );
      await expect(invoke(green, asking('text'))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
      const expired = presetConnector('azureml').connect(server.url, 'an-expired-key');
      await expect(invoke(expired, asking('text'))).rejects.toMatchObject({ code: 'BACKEND_UNAUTHORIZED' });
    } finally {
      await server.close();
    }
  });

  it('TorchServe: an expired token is BACKEND_UNAUTHORIZED though the status is 400', async () => {
    const server = await fixture(torchserve);
    try {
      const backend = presetConnector('torchserve').connect(server.url, 'an-old-token-of-it');
      await expect(invoke(backend, asking('text'))).rejects.toMatchObject({
        code: 'BACKEND_UNAUTHORIZED',
        message: expect.stringContaining('Token Authorization failed'),
      });
    } finally {
      await server.close();
    }
  });

  it('Ray Serve: names a multiplexed model in its header', async () => {
    const server = await fixture(rayServe);
    try {
      const backend = presetConnector('ray-serve', { values: { multiplexed: 'm7' } }).connect(server.url);
      expect((await invoke(backend, asking('multiplexed'))).output).toMatchObject({ label: 'yes', score: 1 });
    } finally {
      await server.close();
    }
  });

  it.each([
    ['fails', 'BACKEND_ERROR', 'CUDA out of memory'],
    ['breaks', 'BACKEND_UNAVAILABLE', 'the stream broke off after 3 characters'],
  ])('TGI: a stream that %s in its middle is %s', async (prompt, code, message) => {
    const server = await fixture(tgi);
    try {
      const backend = presetConnector('tgi').connect(server.url);
      const chat: Call = { kind: 'chat', model: 'model', with: { temperature: 0 }, input: { prompt, history: [] } };
      await expect(invoke(backend, chat)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    } finally {
      await server.close();
    }
  });
});
