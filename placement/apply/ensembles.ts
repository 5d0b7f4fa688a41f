import { blocksOf, scalarOf } from './pbtxt.js';

/**
 * The models that ensembles among these call, and that ensembles among those call: Triton loads them with the ensemble, from the same
 * repository. What a model calls in its own code (BLS) is not known.
 *
 * @param configOf a model's configuration; undefined: it has none, so that it is no ensemble
 */
export function calledBy(
  models: readonly string[],
  configOf: (model: string) => string | undefined,
): readonly string[] {
  const found = new Set(models);
  const given = found.size;
  // Those that are added are visited too, each once.
  for (const model of found) for (const step of stepsOf(configOf(model) ?? '')) found.add(step);
  return [...found].slice(given);
}

const stepsOf = (config: string): readonly string[] =>
  blocksOf(config, 'ensemble_scheduling')
    .flatMap((scheduling) => blocksOf(scheduling, 'step'))
    .flatMap((step) => scalarOf(step, 'model_name') ?? [])
    .filter((name) => FOLDER.test(name));

/** A model's folder is named by it, and is in no other one. */
const FOLDER = /^(?!\.+$)[^/\\]+$/;
