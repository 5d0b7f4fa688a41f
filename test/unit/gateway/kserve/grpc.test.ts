import {
  type Client,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { Authenticator, issueKey, keyRing, RequestRate } from '../../../../gateway/index.js';
import { grpcStatus } from '../../../../gateway/kserve/grpc-status.js';
import { ERRORS, type ErrorCode } from '../../../../pipelines/errors.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import {
  fromWire,
  inferenceService,
  tensorsOf,
  textTensor,
  toWire,
} from '../../../../protocols/open-inference/index.js';
import { failure } from '../../../support/fake-temporal.js';
import { freePort } from '../../../support/free-port.js';
import { everyForm, speaks } from '../../../support/kserve-pipelines.js';
import { OidcIssuer } from '../../../support/oidc-issuer.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { tokensOf } from '../../../support/tokens.js';

const Service = makeGenericClientConstructor(inferenceService, 'GRPCInferenceService');
type Answer = { outputs: never[]; raw_output_contents: Buffer[]; parameters: JsonObject; id: string };

let gateway: TestGateway;
let client: Client & Record<string, (...given: unknown[]) => unknown>;

async function serve(change: Parameters<typeof testGateway>[1] = {}): Promise<void> {
  const grpc = { host: '127.0.0.1', port: await freePort() };
  gateway = await testGateway({}, { pipelines: [everyForm, speaks], grpc, release: '1.2.3', ...change });
  await gateway.app.ready();
  gateway.temporal.onStart = (run) => run.end({ output: run.options.args[0], stages: [] });
  const options = { 'grpc.enable_http_proxy': 0 };
  client = new Service(`127.0.0.1:${grpc.port}`, credentials.createInsecure(), options) as unknown as typeof client;
}
beforeEach(() => serve());
afterEach(async () => {
  client.close();
  await gateway.close();
});

const call = <T = JsonObject>(method: string, request: object, metadata = new Metadata()): Promise<T> =>
  new Promise((resolve, reject) => {
    client[method]?.(request, metadata, (error: ServiceError | null, response: T) =>
      error ? reject(error) : resolve(response),
    );
  });
const refusal = async (method: string, request: object, metadata?: Metadata): Promise<ServiceError> =>
  await call(method, request, metadata).then(
    () => Promise.reject(new Error('it was accepted')),
    (error: ServiceError) => error,
  );

const { raw: text, ...textHeader } = textTensor('text', [1], 'hello');
const speakRequest = { model_name: 'speaks', id: '7', inputs: [textHeader], raw_input_contents: [text] };

describe('what is there', () => {
  it('is told of the server and the models', async () => {
    expect(await call('ServerLive', {})).toEqual({ live: true });
    expect(await call('ServerReady', {})).toEqual({ ready: true });
    expect(await call('ServerMetadata', {})).toMatchObject({ name: 'millrace', version: '1.2.3' });
    expect(await call('ModelReady', { name: 'speaks', version: speaks.plan.version })).toEqual({ ready: true });
    expect(await call('ModelMetadata', { name: 'speaks' })).toEqual({
      name: 'speaks',
      versions: ['1'],
      platform: 'millrace_pipeline',
      inputs: [{ name: 'text', datatype: 'BYTES', shape: ['1'] }],
      outputs: [
        { name: 'reply', datatype: 'BYTES', shape: ['1'] },
        { name: 'asked', datatype: 'BYTES', shape: ['1'] },
      ],
    });
    const { config } = await call<{ config: JsonObject & { input: JsonObject[] } }>('ModelConfig', {
      name: 'every-form',
    });
    expect(config).toMatchObject({ max_batch_size: 0, model_transaction_policy: { decoupled: false } });
    expect(config.input.at(-1)).toEqual({ name: 'matrix', data_type: 'TYPE_FP32', dims: ['-1', '2'], optional: true });
    const { models } = await call<{ models: JsonObject[] }>('RepositoryIndex', {});
    expect(models.map(({ name }) => name)).toEqual(['every-form', 'speaks']);
  });

  it('has an error for what is not there', async () => {
    const unknown = await refusal('ModelMetadata', { name: 'nobody' });
    expect([unknown.code, unknown.metadata.get('millrace-code')]).toEqual([status.NOT_FOUND, ['PIPELINE_NOT_FOUND']]);
    expect((await refusal('RepositoryModelLoad', { model_name: 'speaks' })).code).toBe(status.UNIMPLEMENTED);
  });
});

describe('ModelInfer', () => {
  it('answers with bytes beside the tensors, and the request’s id', async () => {
    const answer = await call<Answer>('ModelInfer', speakRequest);
    expect(answer.id).toBe('7');
    expect(answer.parameters).toMatchObject({ run: { string_param: expect.stringMatching(/^speaks-/) } });
    expect(gateway.temporal.only().options.args[0]).toEqual({ text: 'hello' });
  });

  it('takes typed contents', async () => {
    const request = {
      model_name: 'every-form',
      inputs: [
        { name: 'text', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [Buffer.from('hello')] } },
        { name: 'count', datatype: 'INT64', shape: [1], contents: { int64_contents: [-3] } },
        { name: 'label', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [Buffer.from('b')] } },
        { name: 'numbers', datatype: 'FP64', shape: [2], contents: { fp64_contents: [0.5, 1] } },
        { name: 'sure', datatype: 'BOOL', shape: [1], contents: { bool_contents: [true] } },
        { name: 'matrix', datatype: 'FP32', shape: [1, 2], contents: { fp32_contents: [1, 2] } },
      ],
      outputs: [{ name: 'matrix' }, { name: 'count' }],
    };
    const outputs = tensorsOf((await call<Answer>('ModelInfer', request)) as never);
    expect(gateway.temporal.only().options.args[0]).toMatchObject({
      count: -3,
      label: 'b',
      numbers: [0.5, 1],
      sure: true,
    });
    expect([...outputs.keys()]).toEqual(['count', 'matrix']);
    expect(fromWire(outputs.get('matrix') ?? toWire('', { dtype: 'BOOL', shape: [0], data: [] })).data).toEqual([1, 2]);
  });

  test.each<[string, object, string]>([
    ['an unknown tensor', { ...speakRequest, inputs: [{ ...textHeader, name: 'nope' }] }, 'input tensor nope'],
    [
      'a wrong datatype',
      { ...speakRequest, inputs: [{ ...textHeader, datatype: 'FP32' }] },
      'text: FP32 instead of BYTES',
    ],
    ['a negative shape', { ...speakRequest, inputs: [{ ...textHeader, shape: [-1] }] }, 'text: [-1] is not a shape'],
    [
      'bytes that end early',
      { ...speakRequest, raw_input_contents: [text.subarray(0, 6)] },
      'text: element 0 extends beyond',
    ],
    [
      'bytes that belong to nothing',
      { ...speakRequest, raw_input_contents: [text, text] },
      'raw_input_contents has 2 entries',
    ],
    [
      'shared memory',
      {
        ...speakRequest,
        inputs: [{ ...textHeader, parameters: { shared_memory_region: { string_param: 'r' } } }],
        raw_input_contents: [],
      },
      'text: shared memory is not supported',
    ],
    ['no data at all', { ...speakRequest, raw_input_contents: [] }, 'text: 0 elements for shape [1]'],
  ])('refuses %s and says which', async (_, request, message) => {
    const error = await refusal('ModelInfer', request);
    expect([error.code, error.details]).toEqual([status.INVALID_ARGUMENT, expect.stringContaining(message)]);
    expect(error.metadata.get('millrace-code')).toEqual(['INVALID_INPUT']);
    expect(gateway.temporal.runs.size).toBe(0);
  });

  test.each<[string, object]>([
    ['that a message cuts', { ...speakRequest, inputs: [{ ...textHeader, name: `${'n'.repeat(986)}🙂` }] }],
    [
      'that the parser of JSON quotes',
      {
        ...speakRequest,
        model_name: 'every-form',
        inputs: [
          { name: 'text', datatype: 'BYTES', shape: [1] },
          { name: 'count', datatype: 'INT64', shape: [1] },
          { name: 'config', datatype: 'BYTES', shape: [1] },
        ],
        raw_input_contents: [text, Buffer.alloc(8), textTensor('config', [1], '🙂').raw],
      },
    ],
  ])('gives a status for half of a character %s', async (_, request) => {
    const error = await refusal('ModelInfer', request);
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(error.details).not.toMatch(/\p{Cs}/u);
    expect((await call<Answer>('ModelInfer', speakRequest)).id).toBe('7');
  });

  it('tells a failed run by its own code', async () => {
    gateway.temporal.onStart = (run) => run.end(failure('BACKEND_OVERLOADED', 'no room', {}));
    const error = await refusal('ModelInfer', speakRequest);
    expect([error.code, error.details]).toEqual([status.UNAVAILABLE, 'no room']);
  });

  it('tells nothing of an error inside, which is in the log', async () => {
    gateway.temporal.outage = new Error('at /secret/path');
    const error = await refusal('ModelInfer', speakRequest);
    expect([error.code, error.details.includes('secret')]).toEqual([status.INTERNAL, false]);
  });

  it('needs a key where keys are, but for probes', async () => {
    client.close();
    await gateway.close();
    const authenticator = new Authenticator({ by: 'key', keys: keyRing([]) }, { warn: () => {} } as never);
    await serve({ authenticator });
    const wrong = new Metadata();
    wrong.set('authorization', 'Bearer nobody');
    expect((await refusal('ModelInfer', speakRequest, wrong)).code).toBe(status.UNAUTHENTICATED);
    expect(await call('ServerLive', {})).toEqual({ live: true });
  });
});

it('takes the tokens of an identity provider', async () => {
  client.close();
  await gateway.close();
  const issuer = await OidcIssuer.start();
  const logger = pino({ level: 'silent' });
  const tokens = tokensOf(issuer, logger);
  await serve({ authenticator: new Authenticator({ by: 'key', keys: keyRing([]), tokens }, logger) });
  const shown = async (claims: Record<string, unknown> = {}) => {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${await issuer.token(claims)}`);
    return metadata;
  };
  expect(await call('ModelInfer', speakRequest, await shown())).toMatchObject({ model_name: 'speaks' });
  const expired = await refusal('ModelInfer', speakRequest, await shown({ exp: 1 }));
  expect([expired.code, expired.metadata.get('www-authenticate')]).toEqual([
    status.UNAUTHENTICATED,
    ['Bearer realm="millrace", error="invalid_token"'],
  ]);
  const reader = await refusal('ModelInfer', speakRequest, await shown({ scope: 'millrace:read' }));
  expect([reader.code, reader.metadata.get('millrace-code')]).toEqual([status.PERMISSION_DENIED, ['FORBIDDEN']]);
  tokens.close();
  await issuer.close();
});

describe('ModelStreamInfer', () => {
  const collect = (requests: object[], metadata = new Metadata()) =>
    new Promise<{ error_message: string; infer_response: Answer }[]>((resolve, reject) => {
      const stream = client.ModelStreamInfer?.(metadata) as NodeJS.ReadWriteStream & { end(): void };
      const responses: { error_message: string; infer_response: Answer }[] = [];
      stream.on('data', (response) => responses.push(response));
      stream.on('error', reject);
      stream.on('end', () => resolve(responses));
      for (const request of requests) (stream as unknown as { write(value: object): void }).write(request);
      stream.end();
    });

  it('answers each request; one that fails ends no other', async () => {
    const wrong = { ...speakRequest, id: '8', model_name: 'nobody' };
    const responses = await collect([speakRequest, wrong, { ...speakRequest, id: '9' }]);
    const byId = Object.fromEntries(responses.map((each) => [each.infer_response.id, each]));
    expect(Object.keys(byId)).toEqual(['7', '8', '9']);
    expect(byId[8]?.error_message).toContain('nobody');
    expect(byId[9]?.infer_response.parameters).toMatchObject({ triton_final_response: { bool_param: true } });
  });

  it('counts each request once towards the rate of its key, the first one included', async () => {
    client.close();
    await gateway.close();
    const limits = { rate: { perSecond: 0.01, burst: 2 } };
    const { key, secret } = issueKey({ name: '', tenant: 'acme', permissions: ['read', 'run'], limits });
    const requests = new RequestRate();
    const access = { by: 'key', keys: keyRing([key]) } as const;
    await serve({ authenticator: new Authenticator(access, pino({ level: 'silent' }), { requests }) });
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${secret}`);
    const responses = await collect([speakRequest, speakRequest, speakRequest], metadata);
    const errors = responses.map(({ error_message }) => error_message).filter(Boolean);
    expect(errors).toEqual([expect.stringContaining('may make 2 requests')]);
    expect([responses.length, gateway.temporal.runs.size]).toEqual([3, 2]);
  });

  it('has an idempotency key for each request: the same stream sent again is the same runs', async () => {
    const metadata = new Metadata();
    metadata.set('idempotency-key', 'order-1');
    const bye = textTensor('text', [1], 'bye').raw;
    const requests = [speakRequest, { ...speakRequest, id: '8', raw_input_contents: [bye] }];
    const sent = async () => {
      const responses = await collect(requests, metadata);
      expect(responses.map(({ error_message }) => error_message).filter(Boolean)).toEqual([]);
      const answers = responses.map(({ infer_response }) => infer_response);
      return answers.map(({ id, parameters }) => `${id} ${JSON.stringify(parameters.run)}`).sort();
    };
    const runs = await sent();
    expect(new Set(runs).size).toBe(2);
    expect(await sent()).toEqual(runs);
    expect(gateway.temporal.runs.size).toBe(2);
  });

  it('tells the text of an output as it comes to who wants deltas', async () => {
    client.close();
    await gateway.close();
    const delta = (text: string, attempt: number, path = 'reply'): RunEvent => ({
      ...{ type: 'stage.delta', stage: path, path, text, attempt },
    });
    const events = [delta('He', 1), delta('Hel', 2), delta('unseen', 1, 'other'), delta('lo', 2)];
    await serve({
      events: {
        async *follow() {
          for (const [i, event] of events.entries()) yield { id: `${i}-0`, event, json: JSON.stringify(event) };
        },
      },
    });
    gateway.temporal.onStart = (run) => run.end({ output: { reply: 'Hello', asked: 'a' }, stages: [] });
    const responses = await collect([{ ...speakRequest, parameters: { deltas: { bool_param: true } } }]);
    const texts = responses.map(({ infer_response }) => {
      const [first] = tensorsOf(infer_response as never).values();
      return [first?.name, first && fromWire(first).data[0], infer_response.parameters.attempt ?? 'whole'];
    });
    expect(texts).toEqual([
      ['reply', 'He', { int64_param: '1' }],
      ['reply', 'Hel', { int64_param: '2' }],
      ['reply', 'lo', { int64_param: '2' }],
      ['reply', 'Hello', 'whole'],
    ]);
  });
});

it('has a gRPC status for every code of the error table', () => {
  const codes = Object.keys(ERRORS) as ErrorCode[];
  const known = codes.map((code) => [code, status[grpcStatus(code)]]);
  expect(known.filter(([, name]) => name === undefined || name === 'OK' || name === 'UNKNOWN')).toEqual([]);
  expect(grpcStatus('BACKEND_ERROR')).toBe(status.UNAVAILABLE);
  expect(grpcStatus('BACKEND_REJECTED')).toBe(status.INTERNAL);
  expect(grpcStatus('RUN_CANCELLED')).toBe(status.CANCELLED);
});
