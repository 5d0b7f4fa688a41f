import type { Pipeline } from '../pipelines/definition/index.js';
import { MillraceError } from '../pipelines/errors.js';
import { loadPipelines } from '../workers/pipelines.js';
import type { Settings } from '../workers/settings.js';

/** A pipeline of `module`, of `MILLRACE_PIPELINES` or of the catalogue, by its name. No server is asked. */
export async function findPipeline(settings: Settings, name: string, module?: string): Promise<Pipeline> {
  const pipelines = await loadPipelines(module ?? settings.MILLRACE_PIPELINES, settings.MILLRACE_BUILD_ID);
  const found = pipelines.find((pipeline) => pipeline.name === name);
  if (found) return found;
  const names = pipelines.map((pipeline) => pipeline.name).join(', ');
  const message = `no pipeline is named "${name}"; there are ${names}`;
  throw new MillraceError('INVALID_INPUT', message, { fields: [{ field: '<pipeline>', message }] });
}
