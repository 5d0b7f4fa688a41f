import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { Call, CallContext } from '../../activities/connectors/connector.js';
import { createConnectors } from '../../activities/connectors/index.js';
import { tritonConnector } from '../../activities/connectors/triton/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { type Dtype, image, type TensorFile, tensor } from '../../pipelines/media.js';
import { infer } from '../../pipelines/stages/index.js';
import { loadTestModel } from '../support/triton-models.js';
import { invoke, noAudio } from './connector-contract.js';
import { call, type Data, limit, tritonWith, value } from './triton-infer.js';

/* What `infer` is for, on a real Triton: tensors of every type, by value and by reference. */

const OWN = 'every-type';
const { endpoint, client, backend, callsOfCanary, callsOfCanaryAlone } = tritonWith([OWN]);

describe('every element type', () => {
  /** Values and what numpy in the model must see of them. */
  const SAMPLES: [Dtype, Data, string][] = [
    ['BOOL', [true, false, true], '[[True, False, True]]'],
    ['UINT8', [0, 1, 255], '[[0, 1, 255]]'],
    ['UINT16', [0, 1, 65_535], '[[0, 1, 65535]]'],
    ['UINT32', [0, 1, 4_294_967_295], '[[0, 1, 4294967295]]'],
    ['UINT64', [0, '9007199254740993', '18446744073709551615'], '[[0, 9007199254740993, 18446744073709551615]]'],
    ['INT8', [-128, 0, 127], '[[-128, 0, 127]]'],
    ['INT16', [-32_768, 0, 32_767], '[[-32768, 0, 32767]]'],
    ['INT32', [-2_147_483_648, 0, 2_147_483_647], '[[-2147483648, 0, 2147483647]]'],
    ['INT64', ['-9223372036854775808', -1, '9223372036854775807'], '[[-9223372036854775808, -1, 9223372036854775807]]'],
    ['FP16', [65_504, 2 ** -24, -0.25], '[[65504.0, 5.960464477539063e-08, -0.25]]'],
    ['FP32', [3.4028234663852886e38, 2 ** -149, -0.25], '[[3.4028234663852886e+38, 1.401298464324817e-45, -0.25]]'],
    ['FP64', [1.7976931348623157e308, 5e-324, 0.1], '[[1.7976931348623157e+308, 5e-324, 0.1]]'],
    ['BYTES', ['', 'ab', 'é'], String.raw`[[b'', b'ab', b'\xc3\xa9']]`],
  ];

  it.each(SAMPLES)('%s comes back as it was, and is what the model sees', async (dtype, data, seen) => {
    const use = infer({
      model: 'every-type',
      inputs: { [dtype]: tensor({ dtype, shape: [1, -1] }) },
      outputs: { [`${dtype}_OUT`]: tensor({ dtype, shape: [-1, -1] }), SEEN: tensor({ dtype: 'BYTES', shape: [2] }) },
    });
    const sent = value(dtype, [1, 3], data);
    const { output } = await invoke(backend, call(use, { [dtype]: sent }));
    expect(output[`${dtype}_OUT`]).toEqual(sent);
    const [, shown = ''] = (output.SEEN as unknown as { data: string[] }).data;
    expect(JSON.parse(shown)).toEqual({ [dtype]: seen });
  });

  it('all go in one request, with its parameters', async () => {
    const use = infer({
      model: 'every-type',
      inputs: Object.fromEntries(SAMPLES.map(([dtype]) => [dtype, tensor({ dtype, shape: [1, 3] })])),
      outputs: {
        ...Object.fromEntries(SAMPLES.map(([dtype]) => [`${dtype}_OUT`, tensor({ dtype, shape: [1, 3] })])),
        SEEN: tensor({ dtype: 'BYTES', shape: [2] }),
      },
      parameters: { flag: true, count: -3, share: 0.5, name: 'é' },
    });
    const input = Object.fromEntries(SAMPLES.map(([dtype, data]) => [dtype, value(dtype, [1, 3], data)]));
    const { SEEN, ...echoed } = (await invoke(backend, call(use, input))).output;
    expect(echoed).toEqual(Object.fromEntries(Object.entries(input).map(([name, sent]) => [`${name}_OUT`, sent])));
    const [parameters = ''] = (SEEN as unknown as { data: string[] }).data;
    expect(JSON.parse(parameters)).toEqual({ flag: true, count: -3, share: 0.5, name: 'é' });
  });

  it('may be a tensor without elements', async () => {
    const use = infer({
      model: 'every-type',
      inputs: { FP32: tensor({ dtype: 'FP32', shape: [1, -1] }) },
      outputs: { FP32_OUT: tensor({ dtype: 'FP32', shape: [1, -1] }) },
    });
    const { output } = await invoke(backend, call(use, { FP32: value('FP32', [1, 0], []) }));
    expect(output.FP32_OUT).toEqual(value('FP32', [1, 0], []));
  });

  it('names the tensor when the model answers in another form than the stage says', async () => {
    const use = infer({
      model: 'every-type',
      inputs: { INT8: tensor({ dtype: 'INT8', shape: [1, 2] }) },
      outputs: { INT8_OUT: tensor({ dtype: 'INT8', shape: [1, 3] }) },
    });
    await expect(invoke(backend, call(use, { INT8: value('INT8', [1, 2], [1, 2]) }))).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringContaining('output tensor INT8_OUT: shape [1,2] instead of [1,3]'),
      details: { endpoint },
    });
  });

  it('refuses an input that the model does not have', async () => {
    const use = infer({
      model: 'every-type',
      inputs: { NOPE: tensor({ dtype: 'INT8', shape: [1, 1] }) },
      outputs: { INT8_OUT: tensor({ dtype: 'INT8', shape: [1, 1] }) },
    });
    await expect(invoke(backend, call(use, { NOPE: value('INT8', [1, 1], [1]) }))).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.stringContaining('NOPE'),
    });
  });
});

/** Files of the regions that this process has; others on this machine may have regions too. */
function openRegions(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const file = readlinkSync(`/proc/self/fd/${fd}`);
      return file.startsWith('/dev/shm/millrace-') ? [file] : [];
    } catch {
      return []; // it is closed
    }
  });
}

describe('tensors by reference', () => {
  /** Files of one tenant, in memory. */
  const files = new Map<string, Uint8Array>();
  const artifacts: NonNullable<CallContext['artifacts']> = {
    read: async ({ uri }) => files.get(uri) ?? Promise.reject(new Error(`no ${uri}`)),
    async write(bytes, { type }) {
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const uri = `artifact://test/${sha256}`;
      files.set(uri, bytes);
      return { uri, sha256, mime: type, bytes: bytes.length };
    },
  };
  const invokeWith = (given: Call, at = backend) =>
    at.invoke(given, {
      signal: limit(),
      audio: noAudio,
      artifacts,
      emit: () => undefined,
      checkpoint: () => undefined,
    });
  const SIZE = 1_500_000;
  const values = Float32Array.from({ length: SIZE }, (_, i) => Math.fround(Math.sin(i)));
  const raw = Buffer.from(values.buffer);
  const format = { dtype: 'FP32', shape: [1, -1] } as const;
  const mirror = (file: 'npy' | 'raw') =>
    infer({
      model: 'every-type',
      inputs: { FP32: tensor({ ...format, file: 'raw' }) },
      outputs: { FP32_OUT: tensor({ dtype: 'FP32', shape: [-1, -1], file }) },
    });

  it('go to the model and come back as files, of 6 MB, raw and NumPy’s', async () => {
    const input = {
      FP32: {
        dtype: 'FP32',
        shape: [1, SIZE],
        file: { ...(await artifacts.write(raw, { type: 'application/octet-stream' })) },
      },
    };
    for (const file of ['raw', 'npy'] as const) {
      const { output } = await invokeWith(call(mirror(file), input));
      const { dtype, shape, file: stored } = output.FP32_OUT as unknown as TensorFile;
      expect([dtype, shape, stored.mime]).toEqual([
        'FP32',
        [1, SIZE],
        file === 'npy' ? 'application/x-npy' : 'application/octet-stream',
      ]);
      expect(JSON.stringify(output).length).toBeLessThan(500);
      const bytes = Buffer.from(files.get(stored.uri) ?? []);
      expect(bytes.subarray(bytes.length - raw.length).equals(raw)).toBe(true);
      // What a model returned is an input of the next one.
      const again = await invokeWith(call(mirror('raw'), { FP32: output.FP32_OUT as JsonObject }));
      expect((again.output.FP32_OUT as unknown as TensorFile).file.sha256).toBe(
        createHash('sha256').update(raw).digest('hex'),
      );
    }
  });

  it('are limited by bytes of the pool, in both directions, and by value as before', async () => {
    const input = {
      FP32: {
        dtype: 'FP32',
        shape: [1, SIZE],
        file: { ...(await artifacts.write(raw, { type: 'application/octet-stream' })) },
      },
    };
    const small = createConnectors()
      .get('triton')
      ?.connect(endpoint, { kind: 'infer', options: { maxMessageBytes: 2 ** 20 } });
    if (!small) throw new Error('no connector');
    await expect(invokeWith(call(mirror('raw'), input), small)).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
    small.close();
    const byValue = infer({
      model: 'every-type',
      inputs: { FP32: tensor({ ...format, file: 'raw' }) },
      outputs: { FP32_OUT: tensor({ dtype: 'FP32', shape: [-1, -1] }) },
    });
    await expect(invokeWith(call(byValue, input))).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringContaining('give its tensor() a file'),
    });
  });

  it('go by shared memory with a server on the same node, and leave nothing behind', async () => {
    const shared = tritonConnector().connect(endpoint, undefined, { sharedMemoryBytes: 128 * 2 ** 20 });
    expect(await shared.sharedMemory?.(limit())).toEqual({});
    for (let round = 0; round < 3; round++) {
      const bytes = Buffer.from(raw.map((byte) => byte ^ round));
      const file = { ...(await artifacts.write(bytes, { type: 'application/octet-stream' })) };
      const { output } = await invokeWith(
        call(mirror('raw'), { FP32: { dtype: 'FP32', shape: [1, SIZE], file } }),
        shared,
      );
      const stored = (output.FP32_OUT as unknown as TensorFile).file;
      expect(Buffer.from(files.get(stored.uri) ?? []).equals(bytes)).toBe(true);
    }
    const regions = openRegions();
    expect(regions.length).toBeGreaterThan(0);
    shared.close();
    await expect.poll(() => regions.filter((file) => existsSync(file))).toEqual([]);
  });

  it('a call that is cancelled while the model reads shared memory harms neither the server nor the next call', async () => {
    const shared = tritonConnector().connect(endpoint, undefined, { sharedMemoryBytes: 128 * 2 ** 20 });
    const file = { ...(await artifacts.write(raw, { type: 'application/octet-stream' })) };
    const given = call(mirror('raw'), { FP32: { dtype: 'FP32', shape: [1, SIZE], file } });
    await invokeWith(given, shared);
    for (const ms of [0, 2, 5, 10, 20]) {
      const context = { audio: noAudio, artifacts, emit: () => undefined, checkpoint: () => undefined };
      await shared.invoke(given, { ...context, signal: AbortSignal.timeout(ms) }).catch(() => undefined);
      const { output } = await invokeWith(given, shared);
      expect((output.FP32_OUT as unknown as TensorFile).file.sha256).toBe(
        createHash('sha256').update(raw).digest('hex'),
      );
    }
    shared.close();
  });

  it('say which tensor’s file is not what it says', async () => {
    const file = { ...(await artifacts.write(raw.subarray(4), { type: 'application/octet-stream' })) };
    const wrong = { FP32: { dtype: 'FP32', shape: [1, SIZE], file } };
    await expect(invokeWith(call(mirror('raw'), wrong))).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringMatching(/input tensor FP32: 5999996 bytes for shape/),
    });
  });

  it('may be an image, which becomes what the model’s metadata say', async () => {
    const png = await sharp({ create: { width: 5, height: 4, channels: 3, background: '#0000ff' } })
      .png()
      .toBuffer();
    await loadTestModel(client, 'colours', 'own-colours');
    const seen = infer({
      model: 'own-colours',
      inputs: { pixel_values: image() },
      outputs: { seen: tensor({ dtype: 'FP32', shape: [1, 6] }) },
    });
    const pixel_values = { ...(await artifacts.write(png, { type: 'image/png' })) };
    const { output } = await invokeWith(call(seen, { pixel_values }));
    expect((output.seen as unknown as { data: number[] }).data).toEqual([0, 0, 1, 0, 0, 1]);
    await client.unload('own-colours', limit());
  });
});

describe('canaries and counts', () => {
  it('reach a model, of which they know nothing', async () => {
    expect(await callsOfCanaryAlone(OWN)).toBe(1);
  });

  // Other tests use those of the stack too.
  it.each(['echo', 'minilm', 'whisper'])('reach %s', async (model) => {
    expect(await callsOfCanary(model)).toBeGreaterThanOrEqual(1);
  });

  it('need the model to be there', async () => {
    await expect(backend.probe('no-such-model', 'infer', limit())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });
});
