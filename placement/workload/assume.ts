import { z } from 'zod';
import { MillraceError } from '../../pipelines/errors.js';
import { nearest } from '../source/index.js';
import { COLUMN, FIGURES, type PipelineShape, type StageFigures, type StageShape } from './shape.js';

/**
 * The pipelines with stated figures for their stages: `answer.cacheHitRate=0.4`, or `voice-assistant:answer.calls=2` if
 * two pipelines have a stage of that name; `answer.calls=entries` names the column of the load with the calls of each run. Throws
 * `INVALID_INPUT` naming the mistake.
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
    const stating = statedBy(figure as keyof StageFigures, value, wrong);
    let met = 0;
    const stages = (shape: PipelineShape) =>
      shape.stages.map((stage) => {
        if (stage.id !== id || (pipeline !== undefined && pipeline !== shape.name)) return stage;
        met += 1;
        return stating(stage);
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

/**
 * The pipelines without columns for their calls: the average by `<pipeline>/<stage>` stands for them, where it is known. Columns that
 * the pipeline's runs have in `sizes` stay.
 */
export const withMeanCalls = (
  pipelines: readonly PipelineShape[],
  means: Readonly<Record<string, number>>,
  sizes: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>> = {},
): readonly PipelineShape[] =>
  pipelines.map((shape) => ({
    ...shape,
    stages: shape.stages.map(({ callsFrom, ...stage }): StageShape => {
      if (callsFrom === undefined) return stage;
      const mean = means[`${shape.name}/${stage.id}`];
      const isKept = sizes[shape.name]?.[callsFrom] !== undefined;
      return mean === undefined || isKept ? { ...stage, callsFrom } : { ...stage, calls: mean };
    }),
  }));

/** The stage with a stated figure, or with its calls by a column of the load. */
function statedBy(
  figure: keyof StageFigures,
  value: string,
  wrong: (message: string) => MillraceError,
): (stage: StageShape) => StageShape {
  if (figure === 'calls' && COLUMN.safeParse(value).success) {
    return (stage) => ({ ...stage, calls: 1, callsFrom: value });
  }
  const { success, data, error } = FIGURES[figure].safeParse(Number(value));
  if (!success) throw wrong(z.prettifyError(error));
  return ({ callsFrom, ...stage }) => ({
    ...stage,
    ...(callsFrom !== undefined && figure !== 'calls' && { callsFrom }),
    [figure]: data,
  });
}
