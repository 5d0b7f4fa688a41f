import type { z } from 'zod';
import { type FieldError, MillraceError } from '../../pipelines/errors.js';
import { planFindings } from '../../pipelines/inspect/index.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import { isJsonObject, type Json } from '../../pipelines/json.js';
import type { Plan } from '../../pipelines/plan/index.js';
import { type Located, nearest, readLocated } from '../source/index.js';
import { explainedSchema, shapeOfExplained } from './from-explained.js';
import { shapeOfPlan } from './from-plan.js';
import { type PipelineShape, type StageShape, shapeSchema, UNSTATED } from './shape.js';

/**
 * The pipeline in a file: a plan, the output of `millrace explain --json`, or the short form of
 * docs/reference/placement.md. Throws `INVALID_PIPELINE` naming the wrong lines.
 */
export function readPipelineShape(text: string, file: string): PipelineShape {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The short form may be YAML; a file that is neither is reported with its line below.
  }
  if (isJsonObject(value) && 'planVersion' in value && 'output' in value && !('pipeline' in value)) {
    return shapeOfPlan(checkedPlan(value, file));
  }
  if (isJsonObject(value) && 'pipeline' in value) {
    return placeable(shapeOfExplained(readLocated(text, file, explainedSchema, 'INVALID_PIPELINE').value), file);
  }
  return shapeOfShort(readLocated(text, file, shapeSchema, 'INVALID_PIPELINE'));
}

/** The workload of a plan in memory, e.g. of the catalogue. Throws `INVALID_PIPELINE` if no pool serves it. */
export const shapeOf = (plan: Plan): PipelineShape => placeable(shapeOfPlan(plan), plan.name);

function checkedPlan(value: Json, file: string): Plan {
  const wrong = planFindings(value).filter(({ level }) => level === 'error');
  if (wrong.length > 0) {
    const fields = wrong.map(({ stage, message, remedy }) => ({
      field: `${file}${stage === '-' ? '' : ` ${stage}`}`,
      message: `${message}: ${remedy}`,
    }));
    throw invalidFields('INVALID_PIPELINE', fields);
  }
  return value as unknown as Plan;
}

function placeable(shape: PipelineShape, file: string): PipelineShape {
  if (shape.stages.length > 0) return shape;
  const message = 'none of its stages is served by a pool, so there is nothing to place';
  throw new MillraceError('INVALID_PIPELINE', `${file}: ${message}`, { fields: [{ field: file, message }] });
}

/** The short form with its stages in a valid execution order. */
function shapeOfShort({ value, at }: Located<z.output<typeof shapeSchema>>): PipelineShape {
  const mistakes: FieldError[] = [];
  const { stages } = value;
  const ids = stages.map(({ id }) => id);
  for (const [i, { id, after, streamFrom }] of stages.entries()) {
    if (ids.indexOf(id) < i)
      mistakes.push({ field: at(['stages', i, 'id']), message: `a second stage "${id}": rename it` });
    if (streamFrom !== undefined && !after.includes(streamFrom)) {
      const message = `"${streamFrom}" is not one of "after"${nearest(streamFrom, after)}: name the stage whose output it reads while it is made`;
      mistakes.push({ field: at(['stages', i, 'streamFrom']), message });
    }
    for (const [j, before] of after.entries()) {
      if (!ids.includes(before)) {
        const message = `there is no stage "${before}"${nearest(before, ids)}`;
        mistakes.push({ field: at(['stages', i, 'after', j]), message });
      }
    }
  }
  if (mistakes.length > 0) throw invalidFields('INVALID_PIPELINE', mistakes);
  const order: number[] = [];
  const placeOf = new Map<string, number>();
  while (order.length < stages.length) {
    const next = stages.findIndex(({ id, after }) => !placeOf.has(id) && after.every((before) => placeOf.has(before)));
    if (next < 0) {
      const stuck = stages.findIndex(({ id }) => !placeOf.has(id));
      const message = 'stages wait for each other in a circle: remove one of "after"';
      throw invalidFields('INVALID_PIPELINE', [{ field: at(['stages', stuck, 'after']), message }]);
    }
    placeOf.set(ids[next] ?? '', order.length);
    order.push(next);
  }
  const sorted = order.flatMap((i): StageShape[] => {
    const stage = stages[i];
    if (stage === undefined) return [];
    const { streamFrom, calls, ...others } = stage;
    const from = placeOf.get(streamFrom ?? '');
    const after = stage.after.flatMap((before) => placeOf.get(before) ?? []);
    const often = typeof calls === 'string' ? { calls: UNSTATED.calls, callsFrom: calls } : { calls };
    return [{ ...others, ...often, after, ...(from !== undefined && { streamFrom: from }) }];
  });
  return { name: value.name, stages: sorted, assumptions: [] };
}
