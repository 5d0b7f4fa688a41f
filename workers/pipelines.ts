import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { pipelines as catalog } from '../pipelines/catalog/index.js';
import type { Pipeline } from '../pipelines/definition/index.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import type { CodeStage } from '../pipelines/stages/kind.js';

/** The pipelines that this process serves: those that the module exports, one by one or in a list, or the catalogue. */
export async function loadPipelines(module: string | undefined): Promise<readonly Pipeline[]> {
  if (module === undefined) return catalog;
  const exported = Object.values(await importModule(module)).flatMap((value) => value as unknown);
  const pipelines = exported.filter(isPipeline);
  if (pipelines.length === 0) throw setting(`${module} exports no pipeline`);
  const names = pipelines.map((pipeline) => pipeline.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i && pipelines[i] !== pipelines[names.indexOf(name)]);
  if (twice !== undefined) throw setting(`${module} exports two pipelines named "${twice}"`);
  return [...new Set(pipelines)];
}

/** The functions of all `code` stages. Two different functions of one name are an error: the plan holds only the name. */
export function codeStages(pipelines: readonly Pipeline[]): ReadonlyMap<string, CodeStage> {
  const all = new Map<string, CodeStage>();
  for (const { name, code } of pipelines) {
    for (const [id, stage] of code) {
      if (all.has(id) && all.get(id)?.run !== stage.run) {
        throw new MillraceError('INVALID_PIPELINE', `pipeline "${name}": another code stage is named "${id}" already`);
      }
      all.set(id, stage);
    }
  }
  return all;
}

async function importModule(module: string): Promise<object> {
  try {
    return (await import(pathToFileURL(path.resolve(module)).href)) as object;
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw setting(`cannot load ${module}: ${messageOf(error)}`);
  }
}

const isPipeline = (value: unknown): value is Pipeline =>
  typeof value === 'object' && value !== null && 'plan' in value && 'inputSchema' in value && 'code' in value;

const setting = (message: string) =>
  new MillraceError('INVALID_SETTING', `MILLRACE_PIPELINES: ${message}`, {
    fields: [{ field: 'MILLRACE_PIPELINES', message }],
  });
