import { checkProfiles, type ProfileFile } from '../profiles/index.js';
import { dynamicProfiles } from './dynamic-profiles.js';
import { linesOf } from './lines.js';
import { llmBenchmarks } from './llm-benchmarks.js';
import { deviceOf, modelOf, optional, type ProfileImport, type ProfileReader, positive } from './measurements.js';
import { modelAnalyzer } from './model-analyzer.js';
import { muxserve } from './muxserve.js';
import { rowsOf } from './table.js';
import { wrong } from './wrong.js';

/** Formats of measurements: what writes each is in docs/reference/placement.md. */
export const PROFILE_FORMATS = ['proteus', 'muxserve', 'model-analyzer', 'genai-perf', 'vllm-bench', 'csv'] as const;
export type ProfileFormat = (typeof PROFILE_FORMATS)[number];

/** Reads foreign measurements as profiles that `readProfiles` accepts. Throws `INVALID_PROFILE`. */
export function importProfiles(
  format: ProfileFormat,
  text: string,
  file: string,
  options: ProfileImport,
): ProfileFile[] {
  const profiles = READERS[format](linesOf(text), file, options);
  if (profiles.length === 0) throw wrong(file, `it has no measurements in the format "${format}"`, 'INVALID_PROFILE');
  checkProfiles(profiles, file);
  return profiles;
}

const READERS: Readonly<Record<ProfileFormat, ProfileReader>> = {
  /** `Model,Accel,…,batchsize,50th_pct,90th_pct,avg_latency(ms)`; a key that comes twice counts once, the first. */
  proteus: (lines, file, options) =>
    dynamicProfiles(
      Array.from(rowsOf(lines, file, 'INVALID_PROFILE'), (row) => ({
        model: modelOf(row.at, row.cells.Model, options),
        device: deviceOf(row.cells.Accel, options),
        batch: positive(row, 'batchsize'),
        p50Ms: positive(row, '50th_pct'),
        ...optional('p95Ms', row.cells['90th_pct']),
        meanMs: positive(row, 'avg_latency(ms)'),
      })),
      options,
    ),
  csv: (lines, file, options) =>
    dynamicProfiles(
      Array.from(rowsOf(lines, file, 'INVALID_PROFILE'), (row) => {
        const { cells } = row;
        return {
          model: modelOf(row.at, cells.model, options),
          device: deviceOf(cells.device || cells.deviceKind, options),
          batch: positive(row, 'batch'),
          p50Ms: positive(row, 'p50Ms', 'p50_ms', 'meanMs', 'mean_ms', 'latency_ms'),
          ...optional('p95Ms', cells.p95Ms ?? cells.p95_ms),
          ...optional('p99Ms', cells.p99Ms ?? cells.p99_ms),
          ...optional('meanMs', cells.meanMs ?? cells.mean_ms),
        };
      }),
      options,
    ),
  'model-analyzer': modelAnalyzer,
  muxserve,
  'genai-perf': llmBenchmarks,
  'vllm-bench': llmBenchmarks,
};
