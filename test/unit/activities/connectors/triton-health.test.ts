import { status } from '@grpc/grpc-js';
import { describe, expect, it, vi } from 'vitest';
import { TritonClient } from '../../../../activities/connectors/triton/client.js';
import { heal } from '../../../../activities/connectors/triton/heal.js';
import { probeWithZeros } from '../../../../activities/connectors/triton/zeros.js';
import { LATE_ONCE } from '../../../support/soonest.js';
import { limit, tritonInPlace } from './triton-in-place.js';

const triton = tritonInPlace();

describe('a probe with zeros', () => {
  const probe = () => probeWithZeros('m', triton.client, limit());

  it('sends the smallest tensors that the model describes', async () => {
    triton.handlers.ModelMetadata = () => ({
      inputs: [
        { name: 'X', datatype: 'FP32', shape: [-1, 3] },
        { name: 'T', datatype: 'BYTES', shape: ['1', '-1'] },
        { name: 'F', datatype: 'BOOL', shape: [] },
      ],
    });
    let request: Record<string, unknown> = {};
    triton.handlers.ModelInfer = (given) => {
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
    triton.handlers.ModelMetadata = () => ({
      inputs: [{ name: 'X', datatype: 'FP32', shape: [-1, 100_000, 100_000] }],
    });
    triton.handlers.ModelReady = () => ({ ready });
    const found = await probe().then(
      () => undefined,
      (error: { code: string }) => error.code,
    );
    expect(found).toBe(code);
    expect(triton.calls).toEqual(['ModelMetadata', 'ModelConfig', 'ModelReady']);
  });

  it('is a sequence of its own where the model wants one', async () => {
    triton.handlers.ModelConfig = () => ({ config: { sequence_batching: {} } });
    const ids: unknown[] = [];
    triton.handlers.ModelInfer = ({ parameters }) => {
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
    triton.handlers.ModelInfer = () => Promise.reject(Object.assign(new Error(text), { code }));
    await probe();
  });

  it.each([
    ['is dead', status.INTERNAL, "Stub process 'm_0_0' is not healthy."],
    ['is not loaded', status.NOT_FOUND, 'unknown model'],
    ['has no room', status.UNAVAILABLE, 'Exceeds maximum queue size'],
  ])('fails when the model %s', async (_, code, text) => {
    triton.handlers.ModelInfer = () => Promise.reject(Object.assign(new Error(text), { code }));
    await expect(probe()).rejects.toMatchObject({ code });
  });
});

describe('a heal', () => {
  /** The states that the repository's index tells, one an ask, the last one for ever. */
  const states = (...all: string[]) => {
    triton.handlers.RepositoryIndex = () => {
      const state = all.length > 1 ? all.shift() : all[0];
      return {
        models: [
          { name: 'other', version: '1', state: 'READY' },
          { name: 'm', version: '1', state },
        ],
      };
    };
  };
  const acts = () => triton.calls.filter((method) => method !== 'RepositoryIndex' && method !== 'ModelConfig');

  it('unloads, waits and loads', async () => {
    states('READY', 'UNLOADING', 'UNLOADING', 'UNAVAILABLE');
    // It waits for half a second, which a machine may stand still.
    vi.useFakeTimers({ toFake: ['performance'] });
    await heal(triton.client, 'm', limit()).finally(() => vi.useRealTimers());
    expect(triton.calls.filter((method) => method === 'RepositoryIndex')).toHaveLength(4);
    expect(acts()).toEqual(['RepositoryModelUnload', 'RepositoryModelLoad']);
  });

  it('loads a model whose unload never ends, as with a dead process', LATE_ONCE, async () => {
    states('READY', 'UNLOADING');
    const started = performance.now();
    await heal(triton.client, 'm', limit());
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(acts()).toEqual(['RepositoryModelUnload', 'RepositoryModelLoad']);
  });

  it.each(['UNAVAILABLE', ''])('only loads a model that is not loaded (state "%s")', async (state) => {
    states(state);
    await heal(triton.client, 'm', limit());
    expect(acts()).toEqual(['RepositoryModelLoad']);
  });

  it('only waits for a load that another client began', async () => {
    states('LOADING', 'LOADING', 'READY');
    await heal(triton.client, 'm', limit());
    expect(acts()).toEqual([]);
  });

  it('leaves a model alone that works in other versions than the pool’s', async () => {
    const versions = (...ready: string[]) => {
      const models = ['1', '2', '3'].map((version) => ({
        name: 'm',
        version,
        state: ready.includes(version) ? 'READY' : 'UNAVAILABLE',
      }));
      triton.handlers.RepositoryIndex = () => ({ models });
    };
    const pinned = new TritonClient(triton.address(), { version: '1' });
    versions('2', '3');
    await expect(heal(pinned, 'm', limit())).rejects.toMatchObject({
      code: 'MODEL_NOT_FOUND',
      message: expect.stringContaining('in version 2, 3, not in 1'),
    });
    expect(acts()).toEqual([]);
    versions();
    await heal(pinned, 'm', limit());
    expect(acts()).toEqual(['RepositoryModelLoad']);
    pinned.close();
  });

  it('ends with its signal', async () => {
    states('LOADING');
    await expect(heal(triton.client, 'm', AbortSignal.timeout(200))).rejects.toThrow();
  });

  it('says when the repository has no such model', async () => {
    triton.handlers.RepositoryIndex = () => ({ models: [] });
    await expect(heal(triton.client, 'm', limit())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });
});
