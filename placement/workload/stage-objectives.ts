import { MillraceError } from '../../pipelines/errors.js';
import { latency, nearest } from '../source/index.js';
import type { PipelineShape } from './shape.js';

/**
 * What of a stage an objective is about. `ttft`, time to first token: from the run's arrival to the first token of an LLM's
 * answer. `ttfa`, time to first audio: from the run's arrival to the stage's first output. `tpot`, time per output token
 * after the first one. `latency`: from when the stage's inputs are there to its end, its wait included.
 */
export const METRICS = ['ttft', 'ttfa', 'tpot', 'latency'] as const;
export type Metric = (typeof METRICS)[number];

const SHARES = { p95: 0.95, p99: 0.99 } as const;

/** A time that a figure of a stage must meet in this share of the runs that have it. */
export interface StageObjective {
  /** `<pipeline>/<stage>`. */
  readonly stage: string;
  readonly metric: Metric;
  readonly share: number;
  readonly ms: number;
}

/** As it is said to people: `voice/answer ttft p99`. */
export const spellObjective = ({ stage, metric, share }: Omit<StageObjective, 'ms'>): string =>
  `${stage} ${metric} p${Number((100 * share).toFixed(3))}`;

/**
 * Objectives of stages as they are written: `answer.ttft.p99=400ms`, or `voice-assistant:speak.ttfa.p95=1.2s` if two pipelines
 * have a stage of that name. Throws `INVALID_INPUT` naming the mistake.
 *
 * @param goodput share of the runs that must meet all objectives at once; with it the percentile may be absent, and this share
 * stands for it
 */
export function stageObjectives(
  pipelines: readonly PipelineShape[],
  stated: readonly string[],
  goodput?: number,
): readonly StageObjective[] {
  const known = new Set<string>();
  return stated.map((text) => {
    const wrong = (message: string) =>
      new MillraceError('INVALID_INPUT', `--slo ${text}: ${message}`, { fields: [{ field: '--slo', message }] });
    const [, pipeline, name = '', time = ''] = /^(?:([^:=]+):)?([^=]+)=(.*)$/.exec(text) ?? [];
    const { id, metric, share } = figureNamed(name, goodput, wrong);
    const { success, data: ms = 0 } = latency.safeParse(time);
    if (!success || ms <= 0) throw wrong(`"${time}" is no time above 0 such as 400ms or 1.2s`);
    const stage = stageNamed(pipelines, pipeline, id, wrong);
    const objective = { stage, metric, share, ms };
    const key = spellObjective(objective);
    if (known.has(key)) throw wrong(`a second objective for ${key}: keep one`);
    known.add(key);
    return objective;
  });
}

/** `answer.ttft.p99`, or with a goodput `answer.ttft`. The stage’s id may contain dots. */
function figureNamed(name: string, goodput: number | undefined, wrong: (message: string) => MillraceError) {
  const parts = name.split('.');
  const last = parts.at(-1) ?? '';
  if (parts.length > 1 && isMetric(last)) {
    const form = 'write <stage>.<metric>.<percentile>=<time>, e.g. answer.ttft.p99=400ms';
    if (goodput === undefined) throw wrong(`${form}, or pass --goodput for all objectives at once`);
    return { id: parts.slice(0, -1).join('.'), metric: last, share: goodput };
  }
  const [, id = '', metric = '', at = ''] = /^(.+)\.([A-Za-z]+)\.([A-Za-z0-9]+)$/.exec(name) ?? [];
  if (id === '') throw wrong('write <stage>.<metric>.<percentile>=<time>, e.g. answer.ttft.p99=400ms');
  if (!isMetric(metric)) throw wrong(`there is no metric "${metric}"${nearest(metric, METRICS)}`);
  if (!isPercentile(at)) throw wrong(`the percentile is p95 or p99, not "${at}"`);
  return { id, metric, share: SHARES[at] };
}

const isMetric = (text: string): text is Metric => (METRICS as readonly string[]).includes(text);
const isPercentile = (text: string): text is keyof typeof SHARES => Object.hasOwn(SHARES, text);

function stageNamed(
  pipelines: readonly PipelineShape[],
  pipeline: string | undefined,
  id: string,
  wrong: (message: string) => MillraceError,
): string {
  const of = pipelines.filter(({ name }) => pipeline === undefined || name === pipeline);
  if (of.length === 0) {
    const names = pipelines.map(({ name }) => name);
    throw wrong(`there is no pipeline "${pipeline}"${nearest(pipeline ?? '', names)}`);
  }
  const [found, ...others] = of.filter(({ stages }) => stages.some((stage) => stage.id === id));
  if (found === undefined) {
    const ids = of.flatMap(({ stages }) => stages.map((stage) => stage.id));
    throw wrong(`there is no stage "${id}" that a pool serves${nearest(id, ids)}`);
  }
  if (others.length > 0) throw wrong(`several pipelines have a stage "${id}": write ${found.name}:${id}`);
  return `${found.name}/${id}`;
}
