import { describe, expect, it } from 'vitest';
import { TritonClient } from '../../../../activities/connectors/triton/client.js';
import { fromWire } from '../../../../protocols/open-inference/any-tensor.js';
import type { Tensor } from '../../../../protocols/open-inference/tensors.js';
import { LATE_ONCE } from '../../../support/soonest.js';
import { inputs, limit, tritonInPlace } from './triton-in-place.js';

const triton = tritonInPlace();

describe('a call', () => {
  it('pairs each output with its bytes, and takes more than gRPC’s 4 MiB', async () => {
    triton.handlers.ModelInfer = () => ({
      outputs: [
        { name: 'SMALL', datatype: 'INT16', shape: [1] },
        { name: 'LARGE', datatype: 'INT16', shape: [1, 4_000_000] },
      ],
      raw_output_contents: [Buffer.alloc(2), Buffer.alloc(8_000_000)],
    });
    const outputs = await triton.client.infer('m', inputs, limit());
    expect(outputs.get('SMALL')).toMatchObject({ shape: [1], raw: Buffer.alloc(2) });
    expect(outputs.get('LARGE')?.raw.length).toBe(8_000_000);
  });

  it('is cancelled at the server when its signal aborts', LATE_ONCE, async () => {
    const cancelled = new Promise<number>((resolve) => {
      triton.handlers.ModelInfer = (_, call) => {
        call.on('cancelled', () => resolve(performance.now()));
        return new Promise(() => undefined);
      };
    });
    const controller = new AbortController();
    const reason = new Error('stop');
    const call = triton.client.infer('m', inputs, controller.signal);
    await expect.poll(() => triton.calls).toEqual(['ModelInfer']);
    const aborted = performance.now();
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    expect((await cancelled) - aborted).toBeLessThan(500);
  });

  it('is sent once, though the server was never there to see it', async () => {
    triton.stop();
    await expect(triton.client.infer('m', inputs, limit())).rejects.toMatchObject({ code: 14 });
    expect(triton.calls).toEqual([]);
  });

  it('works again within two seconds of a server’s return', LATE_ONCE, async () => {
    triton.handlers.ModelInfer = () => ({});
    await triton.client.infer('m', inputs, limit());
    triton.stop();
    const until = performance.now() + 3_000;
    while (performance.now() < until) {
      await expect(triton.client.infer('m', inputs, limit())).rejects.toMatchObject({ code: 14 });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await triton.listen();
    const back = performance.now();
    const works = () =>
      triton.client.infer('m', inputs, limit()).then(
        () => true,
        () => false,
      );
    await expect.poll(works, { interval: 20 }).toBe(true);
    expect(performance.now() - back).toBeLessThan(2_000);
  });
});

describe('an answer in typed elements', () => {
  const typed = (datatype: string, contents: object, shape = [2]) => {
    triton.handlers.ModelInfer = () => ({ outputs: [{ name: 'OUT', datatype, shape, contents }] });
    return triton.client.infer('m', inputs, limit()).then((outputs) => fromWire(outputs.get('OUT') as Tensor).data);
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

describe('statistics', () => {
  it('are numbers', async () => {
    triton.handlers.ModelStatistics = () => ({
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
    expect(await triton.client.statistics('m', limit())).toEqual([
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

describe('a fingerprint', () => {
  const print = () => triton.client.fingerprint('m', limit());

  it('is the parameter of that name', async () => {
    triton.handlers.ModelConfig = () => ({ config: { parameters: { fingerprint: { string_value: 'abc' } } } });
    expect(await print()).toBe('abc');
    expect(triton.calls).toEqual(['ModelConfig']);
  });

  it('has the version of the pool, since all versions have one configuration', async () => {
    triton.handlers.ModelConfig = () => ({ config: { parameters: { fingerprint: { string_value: 'abc' } } } });
    const pinned = new TritonClient(triton.address(), { version: '2' });
    expect(await pinned.fingerprint('m', limit())).toBe('abc@2');
    pinned.close();
  });

  it('is else a hash of configuration and versions', async () => {
    triton.handlers.ModelConfig = () => ({ config: { name: 'm', backend: 'onnxruntime', max_batch_size: 8 } });
    triton.handlers.ModelMetadata = () => ({
      name: 'm',
      versions: ['1'],
      inputs: [{ name: 'T', datatype: 'BYTES', shape: [-1] }],
    });
    const first = await print();
    expect(first).toMatch(/^[0-9a-f]{16}$/);
    expect(await print()).toBe(first);
    triton.handlers.ModelMetadata = () => ({ name: 'm', versions: ['2'] });
    expect(await print()).not.toBe(first);
  });
});
