import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { TritonClient } from '../../activities/connectors/triton/index.js';
import { PACKAGE_ROOT } from '../../runtime/package-root.js';

/** A model with a fixed cost per batch, like an accelerator's: `model.py`. */
export interface GpuLike {
  readonly name: string;
  /** Milliseconds per batch of any size. */
  readonly costMs: number;
  /** Additional milliseconds per item of a batch. Default 0. */
  readonly perItemMs?: number;
  readonly maxBatch: number;
  /** Longest time that a batch waits to fill, in milliseconds. Default 0. */
  readonly queueDelayMs?: number;
  /** Lock files that represent the devices of its instances, one each: models with the same file take turns. */
  readonly devices: readonly string[];
}

/** A Python model loads within a second; a loaded machine takes several times that. */
const LOAD_MS = 60_000;

/** Loads a model by request, so that it need not be in the server's repository. */
export async function loadGpuLike(client: TritonClient, model: GpuLike): Promise<void> {
  const text = (value: string | number) => ({ string_value: String(value) });
  const config = {
    backend: 'python',
    max_batch_size: model.maxBatch,
    input: [{ name: 'X', data_type: 'TYPE_FP32', dims: [1] }],
    output: [{ name: 'Y', data_type: 'TYPE_FP32', dims: [1] }],
    instance_group: [{ count: model.devices.length, kind: 'KIND_CPU' }],
    dynamic_batching: { max_queue_delay_microseconds: 1_000 * (model.queueDelayMs ?? 0) },
    parameters: {
      cost_ms: text(model.costMs),
      per_item_ms: text(model.perItemMs ?? 0),
      devices: text(model.devices.join(',')),
    },
  };
  const code = await readFile(path.join(PACKAGE_ROOT, 'bench/gpu-like/model.py'));
  await client.load(model.name, AbortSignal.timeout(LOAD_MS), {
    config: JSON.stringify(config),
    files: { '1/model.py': code },
  });
}
