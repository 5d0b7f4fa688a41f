import type { Pipeline } from '../pipelines/definition/index.js';
import { didYouMean } from '../pipelines/did-you-mean.js';
import { MillraceError } from '../pipelines/errors.js';
import { loadPipelines } from '../workers/pipelines.js';
import type { Settings } from '../workers/settings.js';

/** Finds a pipeline of `module`, `MILLRACE_PIPELINES` or the catalogue by name. No server is called. */
export async function findPipeline(settings: Settings, name: string, module?: string): Promise<Pipeline> {
  const pipelines = await loadPipelines(settings, module);
  const found = pipelines.find((pipeline) => pipeline.name === name);
  if (found) return found;
  const names = pipelines.map((pipeline) => pipeline.name);
  const message = `no pipeline is named "${name}"; known: ${names.join(', ')}${didYouMean(name, names)}`;
  throw new MillraceError('INVALID_INPUT', message, { fields: [{ field: '<pipeline>', message }] });
}
