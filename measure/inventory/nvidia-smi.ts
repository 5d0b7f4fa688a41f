import { invalidFields } from '../../pipelines/invalid-fields.js';

/** A GPU as reported by `nvidia-smi`. */
export interface Gpu {
  readonly index: number;
  readonly name: string;
  readonly memoryBytes: number;
  /** Whether it is split into MIG parts; the query does not list them. */
  readonly mig: boolean;
}

/** Fields queried by `nvidia-smi --query-gpu`, in this order; `nvidia-smi --help-query-gpu` explains each. */
export const GPU_FIELDS = ['index', 'name', 'memory.total', 'mig.mode.current'] as const;

const MEBIBYTE = 2 ** 20;

/**
 * Parses GPUs from CSV without headings and units: memory is in MiB; MIG is `Enabled`, `Disabled`, or `[N/A]` if the
 * GPU does not support it. Throws `INVALID_INVENTORY` naming the lines that cannot be parsed.
 */
export function readGpus(csv: string): readonly Gpu[] {
  const lines = csv.split(/\r?\n/).map((line) => line.trim());
  const wrong = lines.flatMap((line, i) =>
    line === '' || gpuOf(line)
      ? []
      : [{ field: `nvidia-smi:${i + 1}`, message: `"${line}" is not ${GPU_FIELDS.join(', ')}` }],
  );
  if (wrong.length > 0) throw invalidFields('INVALID_INVENTORY', wrong);
  return lines.flatMap((line) => gpuOf(line) ?? []);
}

function gpuOf(line: string): Gpu | undefined {
  const [index = '', name = '', memory = '', mig = '', ...more] = line.split(',').map((cell) => cell.trim());
  if (!/^\d+$/.test(index) || name === '' || !/^[1-9]\d*$/.test(memory) || mig === '' || more.length > 0)
    return undefined;
  return { index: Number(index), name, memoryBytes: Number(memory) * MEBIBYTE, mig: mig === 'Enabled' };
}
