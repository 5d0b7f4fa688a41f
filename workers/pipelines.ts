import path from 'node:path';
import { pipelines as catalog } from '../pipelines/catalog/index.js';
import { collecting, errorOf } from '../pipelines/definition/broken.js';
import type { Pipeline } from '../pipelines/definition/index.js';
import { BUILD, type Build, pinned, pinnedCode } from '../pipelines/definition/pinned.js';
import { servedFunctions } from '../pipelines/definition/scoped-tools.js';
import { MillraceError } from '../pipelines/errors.js';
import { invalidFields } from '../pipelines/invalid-fields.js';
import { codeOf, isKindBuilder } from '../pipelines/stages/index.js';
import type { DefinedKind, NamedCode, StageUse } from '../pipelines/stages/kind.js';
import type { Tool } from '../pipelines/tools/index.js';
import { type PoolDescription, place } from '../placement/place.js';
import { importModule } from '../runtime/typescript/index.js';
import { loadError } from './load-error.js';
import { releaseOf } from './release.js';
import type { Settings } from './settings.js';
import { sourcesOf } from './sources.js';

/** What a process serves. */
export interface Deployment {
  /** Every function in their plans has a version. */
  readonly pipelines: readonly Pipeline[];
  /**
   * The functions of the pipelines, and those that the module exports besides: earlier versions for runs in progress.
   */
  readonly functions: readonly NamedCode[];
  /** The kinds made with `defineKind` of the pipelines, and those that the module or the configuration has besides. */
  readonly kinds: readonly DefinedKind[];
}

/** A deployment as far as its definitions are valid. */
export interface Inspected extends Deployment {
  /** Why the others are not. */
  readonly errors: readonly MillraceError[];
}

/** The settings that say what is served. */
type Given = Pick<Settings, 'MILLRACE_PIPELINES' | 'MILLRACE_BUILD_ID' | 'config'>;

/**
 * Loads the pipelines, functions and kinds that the module exports, one by one or in lists, or those of the
 * configuration, or the catalogue. Functions without a version get that of the build: `MILLRACE_BUILD_ID`, or a hash of
 * the sources of the module or configuration, which is equal in every process that loads the same files. Throws the
 * errors of all invalid definitions together.
 * @param module default: `MILLRACE_PIPELINES`
 */
export async function loadDeployment(settings: Given, module?: string): Promise<Deployment> {
  const { errors, ...deployment } = await inspectDeployment(settings, module);
  if (errors.length > 0) throw together(errors);
  return deployment;
}

/** As `loadDeployment`, with the valid definitions of a module that has invalid ones too. */
export async function inspectDeployment(settings: Given, module = settings.MILLRACE_PIPELINES): Promise<Inspected> {
  const { MILLRACE_BUILD_ID: buildId, config } = settings;
  const { pipelines, functions, kinds, errors, sources } =
    module !== undefined
      ? { ...(await readModule(module)), sources: await sourcesOf(path.resolve(module)) }
      : config.pipelines !== undefined
        ? await ofConfig(config, config.pipelines, buildId)
        : // The catalogue's build is the release of Millrace.
          { pipelines: catalog, functions: [], kinds: [], errors: [], sources: `millrace-${releaseOf()}` };
  const build: Build = { version: `${BUILD}${buildId ?? sources}`, sources };
  const own = pipelines.map((pipeline) => pinned(pipeline, build));
  const more = servedFunctions(functions, own).map((each) => pinnedCode(each, build));
  return {
    pipelines: own,
    functions: [...own.flatMap(({ code }) => [...code.values()]), ...more],
    kinds: [...own.flatMap((pipeline) => [...pipeline.kinds.values()]), ...kinds, ...config.kinds],
    errors,
  };
}

/** The file with the definitions, if there is one: the module, or the configuration. */
export const fileOfPipelines = ({ MILLRACE_PIPELINES: module, config }: Given): string | undefined =>
  module ?? (config.pipelines && config.file);

/** Several errors as one, with a line and the fields of each. */
export function together(errors: readonly MillraceError[]): MillraceError {
  const [first, ...others] = errors;
  if (first === undefined) throw new TypeError('there is no error');
  if (others.length === 0) return first;
  const lines = errors.map(({ message }) => `  ${message}`).join('\n');
  const fields = errors.flatMap(({ details }) => details.fields ?? []);
  return new MillraceError(first.code, `${errors.length} errors\n${lines}`, { fields }, { cause: first });
}

/** Throws the errors of all pipelines that cannot be placed, because a model of theirs has no pool. */
export function requirePlaced(
  pipelines: readonly Pipeline[],
  poolOf: (model: string) => PoolDescription | undefined,
  taskQueue: string,
): void {
  const errors = pipelines.flatMap(({ plan }) => {
    try {
      place(plan, poolOf, taskQueue);
      return [];
    } catch (error) {
      if (error instanceof MillraceError) return [error];
      throw error;
    }
  });
  if (errors.length > 0) throw together(errors);
}

export const loadPipelines = async (settings: Given, module?: string): Promise<readonly Pipeline[]> =>
  (await loadDeployment(settings, module)).pipelines;

async function readModule(module: string): Promise<Inspected> {
  const { value = {}, errors, failure } = await collecting(() => importModule(module));
  // What follows from an invalid definition, such as its use by the module, is not reported beside it.
  if (failure !== undefined && errors.length === 0) throw await loadError(failure, module);
  return await inspected(valuesOf(value), errors, `MILLRACE_PIPELINES: ${module}`);
}

async function ofConfig({ file }: Settings['config'], values: readonly unknown[], buildId: string | undefined) {
  const found = await inspected(values, [], file ?? 'the configuration');
  if (file !== undefined) return { ...found, sources: await sourcesOf(file) };
  const all = [...found.pipelines.flatMap(({ code }) => [...code.values()]), ...found.functions];
  const unversioned = all.find(({ version }) => version === undefined);
  if (unversioned === undefined || buildId !== undefined) return { ...found, sources: buildId ?? '' };
  throw invalidFields('INVALID_SETTING', [
    {
      field: 'MILLRACE_BUILD_ID',
      message: `a configuration without a file has no sources to hash, and the function "${unversioned.name}" has no version: set the build id, or versions`,
    },
  ]);
}

/**
 * @param found errors of definitions
 * @param source names the module or file in messages
 */
async function inspected(
  values: readonly unknown[],
  found: readonly MillraceError[],
  source: string,
): Promise<Inspected> {
  const exported = values.flatMap((each) => each as unknown);
  // A module that was loaded before is not evaluated again, but still exports what stands in for its invalid definitions.
  const invalid = new Set([...found, ...exported.flatMap((each) => errorOf(each) ?? [])]);
  const errors = await Promise.all([...invalid].map((error) => loadError(error, source)));
  const pipelines = exported.filter(isPipeline);
  if (pipelines.length + errors.length === 0)
    throw setting(`${source} exports no pipeline: export what pipeline() returns, by any name or in a list`);
  const names = pipelines.map((pipeline) => pipeline.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i && pipelines[i] !== pipelines[names.indexOf(name)]);
  if (twice !== undefined) throw setting(`${source} exports two pipelines named "${twice}": rename one of them`);
  return {
    pipelines: [...new Set(pipelines)],
    functions: exported.flatMap(functionsOf),
    kinds: exported.filter(isKindBuilder).map(({ definition }) => definition),
    errors,
  };
}

/** The functions of an exported `code(…)` or `tool(…)`. */
function functionsOf(value: unknown): readonly NamedCode[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('functions' in value && value.functions instanceof Map) return [...(value as Tool).functions.values()];
  const own = 'kind' in value && value.kind === 'code' ? codeOf(value as StageUse<never, never>) : undefined;
  return own ? [own] : [];
}

/** What a module exports, one by one, in lists, or as fields of its default export, as CommonJS modules may. */
function valuesOf(module: object): readonly unknown[] {
  const { default: all } = module as { readonly default?: unknown };
  const inside = typeof all === 'object' && all !== null && !isPipeline(all) ? Object.values(all) : [];
  return [...new Set([...Object.values(module), ...inside].flatMap((value) => value as unknown))];
}

const isPipeline = (value: unknown): value is Pipeline =>
  typeof value === 'object' && value !== null && 'plan' in value && 'inputSchema' in value && 'code' in value;

/** Whether a value is something that a pipelines module exports to be served. */
export const isServed = (value: unknown): boolean =>
  isPipeline(value) || isKindBuilder(value) || functionsOf(value).length > 0;

const setting = (message: string) =>
  new MillraceError('INVALID_SETTING', message, { fields: [{ field: 'MILLRACE_PIPELINES', message }] });
