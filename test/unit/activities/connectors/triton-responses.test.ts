import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { LATE_ONCE } from '../../../support/soonest.js';
import { inputs, limit, tritonInPlace } from './triton-in-place.js';

const triton = tritonInPlace();

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
    triton.handlers.ModelConfig = () => ({ config: { model_transaction_policy: { decoupled: true } } });
  };
  const collect = async (signal = limit(), options = {}) => {
    const values: unknown[] = [];
    for await (const outputs of triton.client.responses('m', inputs, signal, options)) {
      values.push(outputs.get('OUT')?.raw[0]);
    }
    return values;
  };

  it('are one of a plain model, whose configuration is asked for once', async () => {
    triton.handlers.ModelInfer = () => response(7).infer_response;
    expect(await collect()).toEqual([7]);
    expect(await collect()).toEqual([7]);
    expect(triton.calls).toEqual(['ModelConfig', 'ModelInfer', 'ModelInfer']);
  });

  it('are one where the server does not tell what a model is', async () => {
    triton.handlers.ModelConfig = () => Promise.reject(Object.assign(new Error('no'), { code: status.UNIMPLEMENTED }));
    triton.handlers.ModelInfer = () => response(7).infer_response;
    expect(await collect()).toEqual([7]);
  });

  it('are those of the stream of a decoupled model, up to the empty one that ends it', async () => {
    decoupled();
    let request: Record<string, unknown> = {};
    triton.onStream = (given, call) => {
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
    expect(triton.calls).toEqual(['ModelConfig', 'ModelStreamInfer']);
  });

  it('may end with one that is not empty', async () => {
    decoupled();
    triton.onStream = (_, call) => void call.write(response(3, LAST));
    expect(await collect()).toEqual([3]);
  });

  it.each([
    ["Stub process 'm_0_0' is not healthy.", status.INTERNAL],
    ['Exceeds maximum queue size', status.UNAVAILABLE],
    ["[request id: <id_unknown>] unexpected shape for input 'X' for model 'm'", status.INVALID_ARGUMENT],
    ['the model has its own words', status.UNKNOWN],
  ])('end with an error in mid-stream: %s', async (error_message, code) => {
    decoupled();
    triton.onStream = (_, call) => {
      call.write(response(1));
      call.write({ error_message });
    };
    await expect(collect()).rejects.toMatchObject({ code, details: error_message });
  });

  it('end with the stream when it breaks, and the model is asked again what it is', async () => {
    decoupled();
    triton.onStream = (_, call) =>
      void call.emit('error', Object.assign(new Error('gone'), { code: status.UNAVAILABLE }));
    await expect(collect()).rejects.toMatchObject({ code: status.UNAVAILABLE });
    triton.handlers.ModelConfig = () => ({});
    triton.handlers.ModelInfer = () => response(7).infer_response;
    expect(await collect()).toEqual([7]);
  });

  it('are not whole when the stream ends without saying so', async () => {
    decoupled();
    triton.onStream = (_, call) => {
      call.write(response(1));
      call.end();
    };
    await expect(collect()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  });

  it('aborted, leave what is known of the model', async () => {
    decoupled();
    triton.onStream = () => undefined;
    const controller = new AbortController();
    const call = collect(controller.signal);
    await expect.poll(() => triton.calls).toContain('ModelStreamInfer');
    controller.abort();
    await expect(call).rejects.toBeDefined();
    triton.onStream = (_, stream) => void stream.write(response(3, LAST));
    expect(await collect()).toEqual([3]);
    expect(triton.calls.filter((method) => method === 'ModelConfig')).toHaveLength(1);
  });

  /** Streams for ever; resolves when the server hears that the call is cancelled. */
  const endless = () =>
    new Promise<number>((resolve) => {
      triton.onStream = (_, call) => {
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
    await expect.poll(() => triton.calls).toContain('ModelStreamInfer');
    const aborted = performance.now();
    controller.abort();
    await expect(call).rejects.toMatchObject({ code: status.CANCELLED });
    expect((await cancelled) - aborted).toBeLessThan(500);
  });

  it('are cancelled at the server when the reader has enough', async () => {
    decoupled();
    const cancelled = endless();
    for await (const _ of triton.client.responses('m', inputs, limit())) break;
    await cancelled;
  });

  it('do not begin when the signal has aborted', async () => {
    decoupled();
    await triton.client.traits('m', limit());
    const reason = new Error('too late');
    await expect(collect(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(triton.calls).not.toContain('ModelStreamInfer');
  });
});
