import { z } from 'zod';
import { MillraceError } from '../../pipelines/errors.js';
import { nearest } from '../source/index.js';
import { FIGURES, type PipelineShape, type StageFigures } from './shape.js';

/**
 * The pipelines with stated figures for their stages: `answer.cacheHitRate=0.4`, or `voice-assistant:answer.calls=2` if
 * two pipelines have a stage of that name. Throws `INVALID_INPUT` naming the mistake.
 */
export function withAssumptions(
  pipelines: readonly PipelineShape[],
  stated: readonly string[],
): readonly PipelineShape[] {
  return stated.reduce((shapes, text) => {
    const [, pipeline, id = '', figure = '', value = ''] = /^(?:([^:=]+):)?(.+)\.([A-Za-z]+)=(.+)$/.exec(text) ?? [];
    const wrong = (message: string) =>
      new MillraceError('INVALID_INPUT', `--assume ${text}: ${message}`, { fields: [{ field: '--assume', message }] });
    if (!(figure in FIGURES)) {
      throw wrong(`write <stage>.<figure>=<number>; figures are ${Object.keys(FIGURES).join(', ')}`);
    }
    const { success, data, error } = FIGURES[figure as keyof StageFigures].safeParse(Number(value));
    if (!success) throw wrong(z.prettifyError(error));
    let met = 0;
    const stages = (shape: PipelineShape) =>
      shape.stages.map((stage) => {
        if (stage.id !== id || (pipeline !== undefined && pipeline !== shape.name)) return stage;
        met += 1;
        return { ...stage, [figure]: data };
      });
    const next = shapes.map((shape) => ({ ...shape, stages: stages(shape) }));
    if (met === 0)
      throw wrong(
        `there is no stage "${id}"${nearest(
          id,
          shapes.flatMap((s) => s.stages.map((t) => t.id)),
        )}`,
      );
    return next;
  }, pipelines);
}
