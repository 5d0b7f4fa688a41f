import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { CodeFunctions } from '../activities/stage/code-functions.js';
import type { Pipeline } from '../pipelines/definition/index.js';
import { closest } from '../pipelines/did-you-mean.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import {
  type Finding,
  findingLine,
  type Inspected,
  planFindings,
  stageOf,
  warningsOf,
} from '../pipelines/inspect/index.js';
import { allSteps, isStage, type Plan, type StagePlan } from '../pipelines/plan/index.js';
import { alternativesOf, type PoolDescription, place } from '../placement/place.js';
import { withoutMark } from '../runtime/without-mark.js';
import { fileOfPipelines, inspectDeployment, loadPipelines } from '../workers/pipelines.js';
import { scanSources } from '../workers/scan/index.js';
import type { Settings } from '../workers/settings.js';
import { describedPools } from './explain.js';
import { EXIT, green, note, printJson, red, show } from './output.js';

export interface ValidateOptions {
  readonly plan?: string;
  readonly json?: boolean;
}

interface Pools {
  readonly poolOf: (model: string) => PoolDescription | undefined;
  readonly names: readonly string[];
}

/**
 * `millrace validate`: all checks of pipelines that need no server. Exit 0 without errors, 1 with errors, 2 if there is
 * nothing to check.
 */
export async function validate(
  settings: Settings,
  module: string | undefined,
  options: ValidateOptions,
): Promise<void> {
  const pools = await describedPools(settings);
  const { findings, names, models } =
    options.plan === undefined ? await ofModule(settings, module, pools) : await ofPlanFile(options.plan, pools);
  const errors = findings.filter(({ level }) => level === 'error').length;
  if (options.json) printJson({ ok: errors === 0, pipelines: names, findings, ...(models && { models }) });
  else {
    for (const finding of findings) show(findingLine(finding));
    for (const each of models ?? []) show(modelLine(each));
    const verdict = `${errors} errors, ${findings.length - errors} warnings in ${names.join(', ') || 'no pipeline'}`;
    note(errors > 0 ? red(verdict) : green(verdict));
  }
  process.exitCode = errors > 0 ? EXIT.failed : EXIT.ok;
}

interface Checked {
  readonly findings: readonly Finding[];
  readonly names: readonly string[];
  readonly models?: readonly AsModel[];
}

/** What a pipeline is to OpenAI's clients. */
interface AsModel {
  readonly pipeline: string;
  /** The surfaces on which it is a model: `chat`, `speech`, … */
  readonly surfaces: readonly string[];
  /** Why it is on none. */
  readonly why?: string;
}

const asModel = ({ name, openai, noModel }: Pipeline): AsModel => ({
  pipeline: name,
  surfaces: Object.keys(openai),
  ...(noModel !== undefined && { why: noModel }),
});

const modelLine = ({ pipeline, surfaces, why }: AsModel): string =>
  `${pipeline} is ${why === undefined ? `an OpenAI model: ${surfaces.join(', ')}` : `no OpenAI model: ${why}`}`;

/** Checks all pipelines of a module, also if some definitions are invalid. */
async function ofModule(settings: Settings, given: string | undefined, pools: Pools): Promise<Checked> {
  const module = given ?? settings.MILLRACE_PIPELINES;
  const file = module ?? fileOfPipelines(settings);
  const mistakes = file === undefined ? [] : await scanSources(path.resolve(file)).catch(() => []);
  const { pipelines, functions, errors } = await inspectDeployment(settings, module);
  const findings = errors.map((error) => ofError(error, '-', pools));
  findings.push(...pipelines.flatMap((pipeline) => findingsOf(pipeline, pools)));
  try {
    new CodeFunctions(functions);
  } catch (error) {
    findings.push(ofError(error, '-', pools));
  }
  const invalid = errors.flatMap(({ details }) => details.pipeline ?? []);
  const names = [...new Set([...pipelines.map(({ name }) => name), ...invalid])];
  return { findings: [...findings, ...mistakes], names, models: pipelines.map(asModel) };
}

/**
 * The pipelines of the settings. Throws `INVALID_PIPELINE` with every error, of definitions and of stages that no pool
 * serves; warnings are not reported.
 */
export async function requireValid(settings: Settings): Promise<readonly Pipeline[]> {
  const { findings } = await ofModule(settings, undefined, await describedPools(settings));
  const errors = findings.filter(({ level }) => level === 'error');
  if (errors.length === 0) return await loadPipelines(settings);
  const lines = errors.map((finding) => `  ${findingLine(finding)}`).join('\n');
  const fields = errors.map(({ stage, message }) => ({ field: stage, message }));
  throw new MillraceError('INVALID_PIPELINE', `nothing was started or stopped\n${lines}`, { fields });
}

async function ofPlanFile(file: string, pools: Pools): Promise<Checked> {
  let value: unknown;
  try {
    value = JSON.parse(withoutMark(await readFile(file, 'utf8')));
  } catch (error) {
    throw new MillraceError('INVALID_INPUT', `--plan: cannot read ${file}: ${messageOf(error)}`);
  }
  const wrong = planFindings(value);
  const name = String((value as { name?: unknown } | null)?.name ?? '-');
  if (wrong.length > 0) return { findings: wrong, names: [name] };
  return { findings: findingsOf({ plan: value as Plan }, pools), names: [name] };
}

/** Errors and likely mistakes in a pipeline. */
export const findingsOf = (inspected: Inspected, pools: Pools): Finding[] => [
  ...misplaced(inspected.plan, pools),
  ...warningsOf(inspected),
];

/** Every stage that cannot be placed; those of a child run as `<step>/<stage>`. */
function misplaced(plan: Plan, pools: Pools, prefix = ''): Finding[] {
  return [...allSteps(plan)].flatMap((step) => {
    if (!isStage(step)) {
      return step.kind === 'pipeline' && step.run === 'child'
        ? misplaced(step.plan, pools, `${prefix}${step.id}/`)
        : [];
    }
    const { fallback: _, degrade: __, ...own } = step;
    const { cache: ___, ...bare } = own;
    const each: StagePlan[] = [own, ...alternativesOf(step).map((to) => ({ ...bare, ...to }))];
    return each.flatMap((stage, i) => {
      try {
        place({ ...plan, stages: [stage], output: null }, pools.poolOf, '');
        return [];
      } catch (error) {
        const finding = ofError(error, plan.name, pools, stage);
        const message = i === 0 ? finding.message : `an alternative of it: ${finding.message}`;
        return [{ ...finding, stage: `${prefix}${step.id}`, message }];
      }
    });
  });
}

function ofError(error: unknown, pipeline: string, pools: Pools, served?: Served): Finding {
  if (!(error instanceof MillraceError)) throw error;
  const [{ field, message } = { field: '-', message: error.message }] = error.details.fields ?? [];
  const path = field.slice(stageOf(field).length + 1);
  return {
    level: 'error',
    pipeline: error.details.pipeline ?? pipeline,
    stage: stageOf(field),
    code: error.code,
    message: path === '' || error.code !== 'INVALID_PIPELINE' ? message : `${path} ${message}`,
    remedy: remedyOf(error.code, pools, served),
    ...(error.details.at !== undefined && { at: error.details.at }),
  };
}

/** What the finding is about, if it is a stage that cannot be placed. */
type Served = Pick<StagePlan, 'kind' | 'model'>;

function remedyOf(code: string, { names, poolOf }: Pools, { kind, model = '' }: Partial<Served> = {}): string {
  if (code === 'MODEL_NOT_CONFIGURED') {
    const same = names.filter((name) => poolOf(name)?.kind === kind);
    const meant = poolOf(model) ? undefined : closest(model, same);
    if (meant !== undefined) return `did you mean "${meant}"? Or add the model to the file of MILLRACE_MODELS`;
    const known =
      same.length > 0 ? `name one that serves ${kind}: ${same.join(', ')}` : `none serves ${kind ?? 'it'} yet`;
    return `add the model to the file of MILLRACE_MODELS, or ${known}`;
  }
  if (code === 'CAPABILITY_MISSING') return 'use a pool whose connector supports it, or omit the option';
  return 'correct the definition at this place';
}
