import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import {
  isSchedule,
  type PlacementDocument,
  placementOf,
  readPlacement,
  readSchedule,
} from '../placement/document/index.js';
import { type Inventory, readInventory } from '../placement/inventory/index.js';
import { type ReadProfile, readProfiles } from '../placement/profiles/index.js';
import { readTrace, type Trace } from '../placement/trace/index.js';
import { type PipelineShape, readPipelineShape, shapeOf } from '../placement/workload/index.js';
import type { Settings } from '../workers/settings.js';
import { findPipeline } from './find-pipeline.js';
import { checkLength } from './text-length.js';

/** The pipeline in a file if the file exists, else the pipeline with this name. */
export async function readShape(settings: Settings, name: string, module: string | undefined): Promise<PipelineShape> {
  let text: string;
  try {
    text = await readFile(name, 'utf8');
  } catch (error) {
    if (/[./\\]/.test(name)) throw new MillraceError('INVALID_PIPELINE', `cannot read ${name}: ${messageOf(error)}`);
    return shapeOf((await findPipeline(settings, name, module)).plan);
  }
  return readPipelineShape(text, path.basename(name));
}

export const readCluster = async (file: string): Promise<Inventory> =>
  readInventory(await read(file, 'INVALID_INVENTORY'), path.basename(file));

/** All profiles of a folder. */
export async function readProfileFolder(folder: string): Promise<readonly ReadProfile[]> {
  let names: string[];
  try {
    names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
  } catch (error) {
    throw new MillraceError('INVALID_PROFILE', `cannot read the folder ${folder}: ${messageOf(error)}`);
  }
  return readProfiles(
    await Promise.all(
      names.map(async (file) => ({ file, text: await read(path.join(folder, file), 'INVALID_PROFILE') })),
    ),
  );
}

export const readTraces = (files: readonly string[]): Promise<readonly Trace[]> =>
  Promise.all(files.map(async (file) => readTrace(await read(file, 'INVALID_TRACE'), path.basename(file))));

/**
 * The placement in a file: its own, or that of an hour of a schedule. Throws `INVALID_INPUT` for an hour of a placement, and for
 * a schedule without one of its hours.
 */
export function placementIn(text: string, file: string, hour: number | undefined): PlacementDocument {
  if (!isSchedule(text)) {
    if (hour !== undefined) throw wrongOption('--hour', `${file} is a placement, the same in all hours: leave it out`);
    return readPlacement(text, file);
  }
  const schedule = readSchedule(text, file);
  const of = schedule.hours[hour ?? -1];
  const placement = of && placementOf(schedule, of);
  if (placement) return placement;
  const last = schedule.hours.length - 1;
  throw wrongOption('--hour', `${file} is a schedule: name one of its hours, from 0 to ${last}`);
}

/** Reads a file as text. Throws `code` if it is not readable, or larger than a text can be. */
export async function read(
  file: string,
  code: 'INVALID_INVENTORY' | 'INVALID_PROFILE' | 'INVALID_TRACE' | 'INVALID_PLACEMENT' | 'INVALID_POLICY',
): Promise<string> {
  try {
    checkLength(file, (await stat(file)).size, code);
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw new MillraceError(code, `cannot read ${file}: ${messageOf(error)}`);
  }
}

/** The error for an unusable option. */
export const wrongOption = (field: string, message: string): MillraceError =>
  new MillraceError('INVALID_INPUT', `${field}: ${message}`, { fields: [{ field, message }] });
