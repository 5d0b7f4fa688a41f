import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TritonClient } from '../../../../activities/connectors/triton/client.js';
import { heal } from '../../../../activities/connectors/triton/heal.js';
import { probeWithZeros } from '../../../../activities/connectors/triton/zeros.js';
import { fromWire } from '../../../../protocols/open-inference/any-tensor.js';
import { inferenceService } from '../../../../protocols/open-inference/protocol.js';
import { type Tensor, textTensor } from '../../../../protocols/open-inference/tensors.js';
import { freePort } from '../../../support/free-port.js';
import { LATE_ONCE } from '../../../support/soonest.js';

/* A gRPC server in Triton's place, for what a real one shows seldom or at great length. */

type Handler = (request: Record<string, unknown>, call: ServerUnaryCall<unknown, unknown>) => object | Promise<object>;

let server: Server;
let address: string;
let client: TritonClient;
let handlers: Record<string, Handler>;
/** Answers a request on a stream. */
let onStream: (request: Record<string, unknown>, call: ServerDuplexStream<unknown, object>) => void;
let calls: string[];

async function listen(): Promise<void> {
  server = new Server();
  const handle =
    (method: string) =>
    (call: ServerUnaryCall<Record<string, unknown>, object>, done: sendUnaryData<object>): void => {
      calls.push(method);
      Promise.resolve()
        .then(() => handlers[method]?.(call.request, call) ?? {})
        .then(
          (answer) => done(null, answer),
          (error: Error) => done(error),
        );
    };
  server.addService(inferenceService, {
    ...Object.fromEntries(Object.keys(inferenceService).map((method) => [method, handle(method)])),
    ModelStreamInfer(call: ServerDuplexStream<Record<string, unknown>, object>) {
      calls.push('ModelStreamInfer');
      call.on('data', (request) => onStream(request, call));
      call.on('end', () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  address = `127.0.0.1:${port}`;
}

const limit = () => AbortSignal.timeout(10_000);
const inputs = [textTensor('TEXT', [1, 1], 'x')];

beforeEach(async () => {
  handlers = {};
  calls = [];
  // Nobody else is given it while a test has it free.
  address = `127.0.0.1:${await freePort()}`;
  await listen();
  client = new TritonClient(address);
});

afterEach(() => {
  client.close();
  server.forceShutdown();
});

describe('a call', () => {
  it('pairs each output with its bytes, and takes more than gRPC’s 4 MiB', async () => {
    handlers.ModelInfer = () => ({
      outputs: [
        { name: 'SMALL', datatype: 'INT16', shape: [1] },
        { name: 'LARGE', datatype: 'INT16', shape: [1, 4_000_000] },
      ],
      raw_output_contents: [Buffer.alloc(2), Buffer.alloc(8_000_000)],
    });
    const outputs = await client.infer('m', inputs, limit());
    expect(outputs.get('SMALL')).toMatchObject({ shape: [1], raw: Buffer.alloc(2) });
    expect(outputs.get('LARGE')?.raw.length).toBe(8_000_000);
  });

  it('is cancelled at the server when its signal aborts', LATE_ONCE, async () => {
    const cancelled = new Promise<number>((resolve) => {
      handlers.ModelInfer = (_, call) => {
        call.on('cancelled', () => resolve(performance.now()));
        return new Promise(() => undefined);
      };
    });
    const controller = new AbortController();
    const reason = new Error('stop');
    const call = client.infer('m', inputs, controller.signal);
    await expect.poll(() => calls).toEqual(['ModelInfer']);
    const aborted = performance.now();
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    expect((await cancelled) - aborted).toBeLessThan(500);
  });

  it('is sent once, though the server was never there to see it', async () => {
    server.forceShutdown();
    await expect(client.infer('m', inputs, limit())).rejects.toMatchObject({ code: 14 });
    expect(calls).toEqual([]);
  });

  it('works again within two seconds of a server’s return', LATE_ONCE, async () => {
    handlers.ModelInfer = () => ({});
    await client.infer('m', inputs, limit());
    server.forceShutdown();
    const until = performance.now() + 3_000;
    while (performance.now() < until) {
      await expect(client.infer('m', inputs, limit())).rejects.toMatchObject({ code: 14 });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await listen();
    const back = performance.now();
    const works = () =>
      client.infer('m', inputs, limit()).then(
        () => true,
        () => false,
      );
    await expect.poll(works, { interval: 20 }).toBe(true);
    expect(performance.now() - back).toBeLessThan(2_000);
  });
});

describe('an answer in typed elements', () => {
  const typed = (datatype: string, contents: object, shape = [2]) => {
    handlers.ModelInfer = () => ({ outputs: [{ name: 'OUT', datatype, shape, contents }] });
    return client.infer('m', inputs, limit()).then((outputs) => fromWire(outputs.get('OUT') as Tensor).data);
  };

  it.each<[string, object, unknown[]]>([
    ['BOOL', { bool_contents: [true, false] }, [true, false]],
    ['INT8', { int_contents: [-128, 127] }, [-128, 127]],
    ['INT16', { int_contents: [-2, 1] }, [-2, 1]],
    ['INT32', { int_contents: [-(2 ** 31), 1] }, [-(2 ** 31), 1]],
    ['INT64', { int64_contents: ['-9223372036854775808', '7'] }, ['-9223372036854775808', 7]],
    ['UINT8', { uint_contents: [0, 255] }, [0, 255]],
    ['UINT16', { uint_contents: [0, 65_535] }, [0, 65_535]],
    ['UINT32', { uint_contents: [0, 2 ** 32 - 1] }, [0, 2 ** 32 - 1]],
    ['UINT64', { uint64_contents: ['18446744073709551615', '7'] }, ['18446744073709551615', 7]],
    ['FP32', { fp32_contents: [0.5, -1] }, [0.5, -1]],
    ['FP64', { fp64_contents: [0.1, -1] }, [0.1, -1]],
    ['BYTES', { bytes_contents: [Buffer.from('é'), Buffer.alloc(0)] }, ['é', '']],
  ])('is read as one in bytes: %s', async (datatype, contents, expected) => {
    expect(await typed(datatype, contents)).toEqual(expected);
  });

  it.each<[string, string, object, RegExp]>([
    ['an integer too large', 'INT8', { int_contents: [1, 128] }, /OUT: element 1, 128, is not INT8/],
    ['NaN', 'FP32', { fp32_contents: [1, Number.NaN] }, /OUT: element 1 is NaN/],
    ['too few elements', 'FP64', { fp64_contents: [1] }, /OUT: 1 elements for shape \[2\]/],
    ['the wrong field', 'FP64', { fp32_contents: [1, 2] }, /OUT: 0 elements for shape \[2\]/],
    ['halves, which have no field', 'FP16', { fp32_contents: [1, 2] }, /OUT: 0 bytes/],
  ])('is refused with %s', async (_, datatype, contents, message) => {
    await expect(typed(datatype, contents)).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringMatching(message),
    });
  });
});

describe('the responses of a model', () => {
  const response = (value: number, parameters = {}) => ({
    infer_response: {
      parameters,
      outputs: [{ name: 'OUT', datatype: 'UINT8', shape: [1] }],
      raw_output_contents: [Buffer.of(value)],
    },
  });
  const LAST = { triton_final_response: { bool_param: true } };
  const decoupled = () => {
    handlers.ModelConfig = () => ({ config: { model_transaction_policy: { decoupled: true } } });
  };
  const collect = async (signal = limit(), options = {}) => {
    const values: unknown[] = [];
    for await (const outputs of client.responses('m', inputs, signal, options)) {
      values.push(outputs.get('OUT')?.raw[0]);
    }
    return values;
  };

  it('are one of a plain model, whose configuration is asked for once', async () => {
    handlers.ModelInfer = () => response(7).infer_response;
    expect(await collect()).toEqual([7]);
    expect(await collect()).toEqual([7]);
    expect(calls).toEqual(['ModelConfig', 'ModelInfer', 'ModelInfer']);
  });

  it('are one where the server does not tell what a model is', async () => {
    handlers.ModelConfig = () => Promise.reject(Object.assign(new Error('no'), { code: status.UNIMPLEMENTED }));
    handlers.ModelInfer = () => response(7).infer_response;
    expect(await collect()).toEqual([7]);
  });

  it('are those of the stream of a decoupled model, up to the empty one that ends it', async () => {
    decoupled();
    let request: Record<string, unknown> = {};
    onStream = (given, call) => {
      request = given;
      call.write(response(1));
      call.write(response(2));
      call.write({ infer_response: { parameters: LAST } });
    };
    const options = { outputs: ['OUT'], parameters: { sequence_id: { int64_param: 5 } } };
    expect(await collect(limit(), options)).toEqual([1, 2]);
    expect(request).toMatchObject({
      model_name: 'm',
      outputs: [{ name: 'OUT' }],
      parameters: { sequence_id: { int64_param: '5' }, triton_enable_empty_final_response: { bool_param: true } },
    });
    expect(calls).toEqual(['ModelConfig', 'ModelStreamInfer']);
  });

  it('may end with one that is not empty', async () => {
    decoupled();
    onStream = (_, call) => void call.write(response(3, LAST));
    expect(await collect()).toEqual([3]);
  });

  it.each([
    ["Stub process 'm_0_0' is not healthy.", status.INTERNAL],
    ['Exceeds maximum queue size', status.UNAVAILABLE],
    ["[request id: <id_unknown>] unexpected shape for input 'X' for model 'm'", status.INVALID_ARGUMENT],
    ['the model has its own words', status.UNKNOWN],
  ])('end with an error in mid-stream: %s', async (error_message, code) => {
    decoupled();
    onStream = (_, call) => {
      call.write(response(1));
      call.write({ error_message });
    };
    await expect(collect()).rejects.toMatchObject({ code, details: error_message });
  });

  it('end with the stream when it breaks, and the model is asked again what it is', async () => {
    decoupled();
    onStream = (_, call) => void call.emit('error', Object.assign(new Error('gone'), { code: status.UNAVAILABLE }));
    await expect(collect()).rejects.toMatchObject({ code: status.UNAVAILABLE });
    handlers.ModelConfig = () => ({});
    handlers.ModelInfer = () => response(7).infer_response;
    expect(await collect()).toEqual([7]);
  });

  it('are not whole when the stream ends without saying so', async () => {
    decoupled();
    onStream = (_, call) => {
      call.write(response(1));
      call.end();
    };
    await expect(collect()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  });

  it('aborted, leave what is known of the model', async () => {
    decoupled();
    onStream = () => undefined;
    const controller = new AbortController();
    const call = collect(controller.signal);
    await expect.poll(() => calls).toContain('ModelStreamInfer');
    controller.abort();
    await expect(call).rejects.toBeDefined();
    onStream = (_, stream) => void stream.write(response(3, LAST));
    expect(await collect()).toEqual([3]);
    expect(calls.filter((method) => method === 'ModelConfig')).toHaveLength(1);
  });

  /** Streams for ever; resolves when the server hears that the call is cancelled. */
  const endless = () =>
    new Promise<number>((resolve) => {
      onStream = (_, call) => {
        const timer = setInterval(() => call.write(response(1)), 5);
        call.on('cancelled', () => {
          clearInterval(timer);
          resolve(performance.now());
        });
      };
    });

  it('are cancelled at the server when the signal aborts', LATE_ONCE, async () => {
    decoupled();
    const cancelled = endless();
    const controller = new AbortController();
    const call = collect(controller.signal);
    await expect.poll(() => calls).toContain('ModelStreamInfer');
    const aborted = performance.now();
    controller.abort();
    await expect(call).rejects.toMatchObject({ code: status.CANCELLED });
    expect((await cancelled) - aborted).toBeLessThan(500);
  });

  it('are cancelled at the server when the reader has enough', async () => {
    decoupled();
    const cancelled = endless();
    for await (const _ of client.responses('m', inputs, limit())) break;
    await cancelled;
  });

  it('do not begin when the signal has aborted', async () => {
    decoupled();
    await client.traits('m', limit());
    const reason = new Error('too late');
    await expect(collect(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(calls).not.toContain('ModelStreamInfer');
  });
});

describe('statistics', () => {
  it('are numbers', async () => {
    handlers.ModelStatistics = () => ({
      model_stats: [
        {
          name: 'm',
          version: '1',
          inference_count: '12',
          execution_count: 3,
          inference_stats: { success: { count: 5 }, fail: { count: 1 } },
          batch_stats: [
            { batch_size: '4', compute_input: { ns: 1_000_000 }, compute_infer: { count: 3, ns: '5500000' } },
          ],
        },
        { name: 'm', version: '2' },
      ],
    });
    expect(await client.statistics('m', limit())).toEqual([
      {
        ...{
          name: 'm',
          version: '1',
          inferences: 12,
          executions: 3,
          succeeded: 5,
          failed: 1,
          queueMs: 0,
          computeMs: 0,
        },
        batches: [{ size: 4, count: 3, computeMs: 6.5 }],
      },
      {
        ...{ name: 'm', version: '2', inferences: 0, executions: 0, succeeded: 0, failed: 0, queueMs: 0, computeMs: 0 },
        batches: [],
      },
    ]);
  });
});

describe('a probe with zeros', () => {
  const probe = () => probeWithZeros('m', client, limit());

  it('sends the smallest tensors that the model describes', async () => {
    handlers.ModelMetadata = () => ({
      inputs: [
        { name: 'X', datatype: 'FP32', shape: [-1, 3] },
        { name: 'T', datatype: 'BYTES', shape: ['1', '-1'] },
        { name: 'F', datatype: 'BOOL', shape: [] },
      ],
    });
    let request: Record<string, unknown> = {};
    handlers.ModelInfer = (given) => {
      request = given;
      return {};
    };
    await probe();
    expect(request).toMatchObject({
      inputs: [{ shape: ['1', '3'] }, { shape: ['1', '1'] }, { shape: [] }],
      raw_input_contents: [Buffer.alloc(12), Buffer.alloc(4), Buffer.alloc(1)],
      parameters: {},
    });
  });

  it.each([
    [true, undefined],
    [false, 'MODEL_NOT_FOUND'],
  ])('asks for readiness alone where the smallest tensors are large: %s', async (ready, code) => {
    handlers.ModelMetadata = () => ({ inputs: [{ name: 'X', datatype: 'FP32', shape: [-1, 100_000, 100_000] }] });
    handlers.ModelReady = () => ({ ready });
    const found = await probe().then(
      () => undefined,
      (error: { code: string }) => error.code,
    );
    expect(found).toBe(code);
    expect(calls).toEqual(['ModelMetadata', 'ModelConfig', 'ModelReady']);
  });

  it('is a sequence of its own where the model wants one', async () => {
    handlers.ModelConfig = () => ({ config: { sequence_batching: {} } });
    const ids: unknown[] = [];
    handlers.ModelInfer = ({ parameters }) => {
      expect(parameters).toMatchObject({ sequence_start: { bool_param: true }, sequence_end: { bool_param: true } });
      ids.push((parameters as { sequence_id: { int64_param: string } }).sequence_id.int64_param);
      return {};
    };
    await probe();
    await probe();
    expect(new Set(ids).size).toBe(2);
  });

  it.each([
    ['refuses them', status.INVALID_ARGUMENT, 'I do not like zeros'],
    ['fails on them', status.INTERNAL, 'Failed to process the request(s): ZeroDivisionError'],
  ])('finds a model alive that %s', async (_, code, text) => {
    handlers.ModelInfer = () => Promise.reject(Object.assign(new Error(text), { code }));
    await probe();
  });

  it.each([
    ['is dead', status.INTERNAL, "Stub process 'm_0_0' is not healthy."],
    ['is not loaded', status.NOT_FOUND, 'unknown model'],
    ['has no room', status.UNAVAILABLE, 'Exceeds maximum queue size'],
  ])('fails when the model %s', async (_, code, text) => {
    handlers.ModelInfer = () => Promise.reject(Object.assign(new Error(text), { code }));
    await expect(probe()).rejects.toMatchObject({ code });
  });
});

describe('a fingerprint', () => {
  const print = () => client.fingerprint('m', limit());

  it('is the parameter of that name', async () => {
    handlers.ModelConfig = () => ({ config: { parameters: { fingerprint: { string_value: 'abc' } } } });
    expect(await print()).toBe('abc');
    expect(calls).toEqual(['ModelConfig']);
  });

  it('is else a hash of configuration and versions', async () => {
    handlers.ModelConfig = () => ({ config: { name: 'm', backend: 'onnxruntime', max_batch_size: 8 } });
    handlers.ModelMetadata = () => ({
      name: 'm',
      versions: ['1'],
      inputs: [{ name: 'T', datatype: 'BYTES', shape: [-1] }],
    });
    const first = await print();
    expect(first).toMatch(/^[0-9a-f]{16}$/);
    expect(await print()).toBe(first);
    handlers.ModelMetadata = () => ({ name: 'm', versions: ['2'] });
    expect(await print()).not.toBe(first);
  });
});

describe('a heal', () => {
  /** The states that the repository's index tells, one an ask, the last one for ever. */
  const states = (...all: string[]) => {
    handlers.RepositoryIndex = () => {
      const state = all.length > 1 ? all.shift() : all[0];
      return {
        models: [
          { name: 'other', version: '1', state: 'READY' },
          { name: 'm', version: '1', state },
        ],
      };
    };
  };
  const acts = () => calls.filter((method) => method !== 'RepositoryIndex' && method !== 'ModelConfig');

  it('unloads, waits and loads', async () => {
    states('READY', 'UNLOADING', 'UNLOADING', 'UNAVAILABLE');
    // It waits for half a second, which a machine may stand still.
    vi.useFakeTimers({ toFake: ['performance'] });
    await heal(client, 'm', limit()).finally(() => vi.useRealTimers());
    expect(calls.filter((method) => method === 'RepositoryIndex')).toHaveLength(4);
    expect(acts()).toEqual(['RepositoryModelUnload', 'RepositoryModelLoad']);
  });

  it('loads a model whose unload never ends, as with a dead process', LATE_ONCE, async () => {
    states('READY', 'UNLOADING');
    const started = performance.now();
    await heal(client, 'm', limit());
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(acts()).toEqual(['RepositoryModelUnload', 'RepositoryModelLoad']);
  });

  it.each(['UNAVAILABLE', ''])('only loads a model that is not loaded (state "%s")', async (state) => {
    states(state);
    await heal(client, 'm', limit());
    expect(acts()).toEqual(['RepositoryModelLoad']);
  });

  it('only waits for a load that another client began', async () => {
    states('LOADING', 'LOADING', 'READY');
    await heal(client, 'm', limit());
    expect(acts()).toEqual([]);
  });

  it('ends with its signal', async () => {
    states('LOADING');
    await expect(heal(client, 'm', AbortSignal.timeout(200))).rejects.toThrow();
  });

  it('says when the repository has no such model', async () => {
    handlers.RepositoryIndex = () => ({ models: [] });
    await expect(heal(client, 'm', limit())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });
});
