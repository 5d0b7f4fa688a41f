import type { OutputFile } from '../output-file.js';
import { pictureOf } from '../picture.js';
import type { TritonFound } from './search-triton.js';
import type { TriedSettings } from './settings.js';

/** What the search of a model's settings has found, and under which conditions. */
export interface TritonReport extends TritonFound {
  readonly pool: string;
  /** The model's name at the server. */
  readonly model: string;
  readonly endpoint: string;
  readonly server: string;
  readonly machine: string;
  readonly measuredAt: string;
  /** Calls in flight. */
  readonly concurrency: number;
  /** What each call is made of, such as 40 characters. */
  readonly input: string;
  readonly sloP95Ms?: number;
}

/** The figures, the picture, and the author's configuration with the settings that were chosen. */
export function tritonFilesOf(report: TritonReport): readonly OutputFile[] {
  const { config, model, pool, trials, concurrency } = report;
  const why = report.confirmed
    ? 'with the settings that were fastest'
    : 'the author’s settings, which none was faster than';
  const points = trials.map((trial) => ({
    label: shortName(trial),
    x: trial.p95Ms,
    y: trial.callsPerS,
    area: trial.instance_count,
    onFront: trial.onFront,
  }));
  const axes = {
    x: '95th percentile of a call, ms',
    y: 'calls a second',
    area: (most: number) => `instances, at most ${most}`,
  };
  return [
    {
      path: 'pareto.svg',
      text: pictureOf(`${pool}: ${concurrency} calls in flight, on ${report.machine}`, points, axes),
    },
    { path: `triton/${model}/config.pbtxt`, text: `# By millrace optimize --triton: ${why}.\n${config}` },
  ];
}

/** Instances x largest batch, with preferred sizes, and the delay: `2 x 8 [4, 8] +500 µs`. */
export function shortName(settings: TriedSettings): string {
  const { max_batch_size: batch, instance_count: instances, preferred_batch_size: preferred } = settings;
  const delay = settings.max_queue_delay_microseconds;
  const sizes = preferred.length > 0 ? ` [${preferred.join(', ')}]` : '';
  return `${instances} x ${batch}${delay === null ? '' : `${sizes} +${delay} µs`}`;
}
