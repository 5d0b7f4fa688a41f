import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TritonClient } from '../../../activities/connectors/triton/client.js';
import { heal } from '../../../activities/connectors/triton/heal.js';
import { inferenceService } from '../../../activities/connectors/triton/protocol.js';
import { textTensor } from '../../../activities/connectors/triton/tensors.js';

/* A gRPC server in Triton's place, for what a real one shows seldom or at great length. */

type Handler = (request: Record<string, unknown>, call: ServerUnaryCall<unknown, unknown>) => object | Promise<object>;

let server: Server;
let address = '127.0.0.1:0';
let client: TritonClient;
let handlers: Record<string, Handler>;
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
  server.addService(
    inferenceService,
    Object.fromEntries(Object.keys(inferenceService).map((method) => [method, handle(method)])),
  );
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
  address = '127.0.0.1:0';
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

  it('is cancelled at the server when its signal aborts', async () => {
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

  it('works again within two seconds of a server’s return', async () => {
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
    await expect.poll(works, { timeout: 2_000, interval: 20 }).toBe(true);
    expect(performance.now() - back).toBeLessThan(2_000);
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
  const acts = () => calls.filter((method) => method !== 'RepositoryIndex');

  it('unloads, waits and loads', async () => {
    states('READY', 'UNLOADING', 'UNLOADING', 'UNAVAILABLE');
    await heal(client, 'm', limit());
    expect(calls.filter((method) => method === 'RepositoryIndex')).toHaveLength(4);
    expect(acts()).toEqual(['RepositoryModelUnload', 'RepositoryModelLoad']);
  });

  it('loads a model whose unload never ends, as with a dead process', async () => {
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
