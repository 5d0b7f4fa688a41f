import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { TritonClient } from '../../activities/connectors/triton/index.js';
import { PACKAGE_ROOT } from '../../runtime/package-root.js';

/** A model of a fixed cost for each batch, as an accelerator has it: `model.py`. */
export interface GpuLike {
  readonly name: string;
  /** Milliseconds of a batch, whatever its size. */
  readonly costMs: number;
  /** Milliseconds of each item of a batch besides. Default 0. */
  readonly perItemMs?: number;
  readonly maxBatch: number;
  /** Longest that a batch waits to be full, in milliseconds. Default 0. */
  readonly queueDelayMs?: number;
  /** Files that stand for the devices of its instances, one each: models with the same one take turns. */
  readonly devices: readonly string[];
}

/** A Python model is loaded in a second; a loaded machine takes many of them. */
const LOAD_MS = 60_000;

/** Loads a model over the wire, so that it need not lie in the server's repository. */
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
