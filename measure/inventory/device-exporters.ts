import { invalidFields } from '../../pipelines/invalid-fields.js';
import { type Sample, samplesIn } from './prometheus-text.js';

/** A device as an exporter of its vendor reports it. */
export interface ExportedDevice {
  /** As the exporter names it, such as a number or an address on the bus. */
  readonly id: string;
  readonly name: string;
  readonly memoryBytes: number;
  /** Share of the time in which it works, from 0 to 1. Absent: not reported. */
  readonly utilisation?: number;
}

/** Where an exporter reports what: names of metrics and labels, each the first that there is. */
interface Exporter {
  readonly vendor: string;
  /** A device that is always named so; else the label has its name. */
  readonly name: string | { readonly label: readonly string[] };
  readonly id: readonly string[];
  /** Label of a part of a device that has memory and work of its own, such as a tile. */
  readonly part?: string;
  readonly utilisation: { readonly metric: readonly string[]; readonly of: number };
  /** In bytes, or in MiB. The total, or its parts, or what is used and its share. */
  readonly memory: { readonly unit: number } & (
    | { readonly total: readonly string[] }
    | { readonly used: string; readonly free: string }
  );
}

const MEBIBYTE = 2 ** 20;

/**
 * Metrics of:
 *  - NVIDIA's dcgm-exporter 4 (https://github.com/NVIDIA/dcgm-exporter, etc/default-counters.csv);
 *  - AMD's device-metrics-exporter 1.4 (https://github.com/ROCm/device-metrics-exporter); its first releases had upper case,
 *    and a prefix can be set;
 *  - Intel's XPU Manager 2 (https://github.com/intel/xpumanager), named after OpenTelemetry's conventions for hardware;
 *  - the exporter for Intel Gaudi 1.23 (https://docs.habana.ai/en/latest/Orchestration/Prometheus_Metric_Exporter.html);
 *  - the exporter for Huawei's Ascend NPUs (https://www.hiascend.com/document, NPU-Exporter).
 */
const EXPORTERS: readonly Exporter[] = [
  {
    vendor: 'NVIDIA',
    name: { label: ['modelname'] },
    id: ['gpu'],
    utilisation: { metric: ['dcgm_fi_dev_gpu_util'], of: 100 },
    memory: { unit: MEBIBYTE, used: 'dcgm_fi_dev_fb_used', free: 'dcgm_fi_dev_fb_free' },
  },
  {
    vendor: 'AMD',
    name: { label: ['card_series', 'card_model'] },
    id: ['gpu_id'],
    utilisation: { metric: ['gpu_gfx_activity', 'amd_gpu_gfx_activity'], of: 100 },
    memory: { unit: MEBIBYTE, total: ['gpu_total_vram', 'amd_gpu_total_vram'] },
  },
  {
    vendor: 'Intel',
    name: { label: ['dev_name', 'hw_name'] },
    id: ['pci_bdf', 'uuid'],
    part: 'sub_dev',
    utilisation: { metric: ['hw_gpu_utilization_ratio'], of: 1 },
    memory: { unit: 1, total: ['hw_memory_size_bytes'] },
  },
  {
    vendor: 'Intel Gaudi',
    name: 'gaudi',
    id: ['device', 'uuid', 'index'],
    utilisation: { metric: ['habanalabs_utilization'], of: 100 },
    memory: { unit: 1, total: ['habanalabs_memory_total_bytes'] },
  },
  {
    vendor: 'Ascend',
    name: { label: ['model_name', 'modelname', 'name'] },
    id: ['id', 'npuid'],
    utilisation: { metric: ['npu_chip_info_utilization'], of: 100 },
    memory: { unit: MEBIBYTE, total: ['npu_chip_info_hbm_total_memory', 'npu_chip_info_total_memory'] },
  },
];

/**
 * The devices in the answer of an exporter, in their order there. Throws `INVALID_INVENTORY` if no exporter that is known here
 * reports the memory of a device in it.
 * @param source names the answer in errors
 */
export function exportedDevices(text: string, source: string): readonly ExportedDevice[] {
  const samples = grouped(samplesIn(text), ({ metric }) => metric);
  for (const exporter of EXPORTERS) {
    const devices = devicesOf(exporter, samples);
    if (devices.length > 0) return devices;
  }
  const known = EXPORTERS.map(({ vendor }) => vendor).join(', ');
  const message = `has no memory of a device in the metrics of an exporter that is known (${known})`;
  throw invalidFields('INVALID_INVENTORY', [{ field: source, message }]);
}

type Samples = ReadonlyMap<string, readonly Sample[]>;

function devicesOf(exporter: Exporter, samples: Samples): ExportedDevice[] {
  const memory = memoryOf(exporter, samples);
  const { metric, of } = exporter.utilisation;
  const working = byDevice(
    exporter,
    metric.flatMap((name) => samples.get(name) ?? []),
  );
  return [...memory].map(([id, { bytes, labels }]) => {
    const values = (working.get(id) ?? []).map(({ value }) => Math.min(1, Math.max(0, value / of)));
    const utilisation = values.reduce((sum, value) => sum + value, 0) / values.length;
    const name = typeof exporter.name === 'string' ? exporter.name : (labelOf(labels, exporter.name.label) ?? 'device');
    return { id, name, memoryBytes: bytes, ...(values.length > 0 && { utilisation }) };
  });
}

function memoryOf(exporter: Exporter, samples: Samples) {
  const { memory } = exporter;
  // Used and free memory are a series each: together they are the device's.
  const series = 'total' in memory ? [memory.total] : [[memory.used], [memory.free]];
  const found = new Map<string, { bytes: number; labels: Sample['labels'] }>();
  for (const names of series) {
    const all = names.map((name) => samples.get(name)).find((each) => each !== undefined) ?? [];
    for (const [id, of] of byDevice(exporter, all)) {
      const bytes = (found.get(id)?.bytes ?? 0) + summed(exporter, of) * memory.unit;
      if (bytes > 0) found.set(id, { bytes, labels: of[0]?.labels ?? {} });
    }
  }
  return found;
}

const byDevice = ({ id }: Exporter, samples: readonly Sample[]) =>
  grouped(samples, ({ labels }) => labelOf(labels, id) ?? '0');

/** Over the parts of a device. A part may have several series, one for each container that uses it. */
function summed({ part }: Exporter, samples: readonly Sample[]): number {
  const parts = grouped(samples, ({ labels }) => (part === undefined ? '' : (labels[part] ?? '')));
  return [...parts.values()].reduce((sum, all) => sum + Math.max(...all.map(({ value }) => value)), 0);
}

function grouped<T>(all: readonly T[], keyOf: (each: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const each of all) {
    const key = keyOf(each);
    const group = groups.get(key);
    if (group) group.push(each);
    else groups.set(key, [each]);
  }
  return groups;
}

const labelOf = (labels: Sample['labels'], names: readonly string[]): string | undefined =>
  names.map((name) => labels[name]).find((value) => value !== undefined && value !== '');
