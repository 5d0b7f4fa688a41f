import type { DeviceLine } from './cluster-file.js';
import type { Machine } from './machine.js';
import type { Gpu } from './nvidia-smi.js';

/** The device kind that `apply` treats as a CPU by default. */
const CPU = 'cpu';
const MEBIBYTE = 2 ** 20;

/** The device lines of a node: its GPUs, adjacent equal ones combined; without GPUs its processors. */
export function deviceLines({
  cpu,
  gpus,
}: Pick<Machine, 'cpu'> & { readonly gpus: readonly Pick<Gpu, 'name' | 'memoryBytes'>[] }): readonly DeviceLine[] {
  if (gpus.length === 0) return [{ kind: CPU, memory: spelled(cpu.memoryBytes), concurrency: cpu.cores }];
  const lines: { kind: string; count: number; memory: string }[] = [];
  for (const { name, memoryBytes } of gpus) {
    const [kind, memory] = [kindOf(name), spelled(memoryBytes)];
    const last = lines.at(-1);
    if (last?.kind === kind && last.memory === memory) last.count += 1;
    else lines.push({ kind, count: 1, memory });
  }
  return lines.map(({ count, ...line }) => (count === 1 ? line : { ...line, count }));
}

/** `NVIDIA A100-SXM4-80GB` becomes the kind `a100-sxm4-80gb`, `AMD Instinct MI300X` becomes `mi300x`. */
export const kindOf = (name: string): string => asName(name.replace(VENDOR, '')) || 'gpu';

const VENDOR = /^(NVIDIA|AMD( Instinct)?|Intel(\(R\))?)\s+/i;

/** Converted to a name of an inventory: lower-case letters, digits and "-". */
export const asName = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63);

/** Whole mebibytes, or gibibytes if they are whole. */
function spelled(bytes: number): string {
  const mebibytes = Math.floor(bytes / MEBIBYTE);
  return mebibytes % 1024 === 0 ? `${mebibytes / 1024}GiB` : `${mebibytes}MiB`;
}
