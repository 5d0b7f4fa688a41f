import path from 'node:path';
import { parseModels } from '../../activities/pools/models.js';
import { DOOR_PREFIX } from '../../gateway/doors/door.js';
import { MillraceError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import { isKindBuilder } from '../../pipelines/stages/index.js';
import { nearest } from '../../placement/source/nearest.js';
import { isServed } from '../pipelines.js';
import { settingsSchema } from '../settings.js';
import type { Config } from './define.js';
import {
  aFunction,
  type Check,
  fields,
  isObject,
  listOf,
  type Mistake,
  members,
  type Path,
  pathOr,
  type Values,
  value,
  wrong,
} from './fields.js';
import type { LoadedConfig } from './loaded.js';

/** Where a configuration comes from. */
export interface Origin {
  /** The file, absolute. Absent: a program. */
  readonly file?: string;
  /** How a mistake names the place of a path, such as `millrace.config.ts:12 doors[0].prefix`. */
  readonly at: (path: Path) => string;
}

/** Checks a configuration. Throws `INVALID_SETTING` with the place of every mistake. */
export function checkConfig(config: unknown, { file, at }: Origin): LoadedConfig {
  refuse(CONFIG(config, []), at);
  const {
    pipelines,
    models,
    connectors = [],
    kinds = [],
    doors = [],
    stores,
    telemetry,
    settings = {},
  } = config as Config;
  const base = file === undefined ? process.cwd() : path.dirname(file);
  const paths = {
    ...(typeof pipelines === 'string' && { MILLRACE_PIPELINES: path.resolve(base, pipelines) }),
    ...(typeof models === 'string' && { MILLRACE_MODELS: path.resolve(base, models) }),
  };
  const twice = Object.keys(paths).filter((name) => name in settings);
  refuse(
    twice.map((name) => ({ path: ['settings', name], message: `is given as ${FIELD_OF[name]} too: remove one` })),
    at,
  );
  return {
    ...(file !== undefined && { file }),
    settings: { ...asText(settings), ...paths },
    ...(typeof pipelines === 'object' && { pipelines }),
    ...(typeof models === 'object' && { models }),
    connectors,
    kinds: kinds.map(({ definition }) => definition),
    doors,
    ...(stores?.artifacts && { artifacts: stores.artifacts }),
    ...(telemetry?.logger && { logger: telemetry.logger }),
  };
}

const FIELD_OF: Readonly<Record<string, string>> = { MILLRACE_PIPELINES: 'pipelines', MILLRACE_MODELS: 'models' };

function refuse(mistakes: readonly Mistake[], at: Origin['at']): void {
  if (mistakes.length === 0) return;
  throw invalidFields(
    'INVALID_SETTING',
    mistakes.map(({ path, message }) => ({ field: at(path), message })),
  );
}

/** Settings as the environment would have them; an empty one counts as unset there too. */
const asText = (settings: Values): Record<string, string> =>
  Object.fromEntries(
    Object.entries(settings).flatMap(([name, given]) =>
      given === undefined || given === '' ? [] : [[name, Array.isArray(given) ? given.join(',') : String(given)]],
    ),
  );

const pools: Check = (models, at) => {
  if (!isObject(models)) return [wrong(at, 'the path of a JSON file, or an object of pools', models)];
  try {
    parseModels(models, 'models');
    return [];
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    const invalid = error.details.fields ?? [];
    return invalid.map(({ field, message }) => ({ path: [...at, ...field.split('.')], message }));
  }
};

const settings: Check = (given, at) => {
  if (!isObject(given)) return [wrong(at, 'an object of settings', given)];
  const { MILLRACE_CONFIG: _, ...shape } = settingsSchema().shape;
  return Object.entries(given).flatMap(([name, each]) => {
    const path = [...at, name];
    if (!Object.hasOwn(shape, name)) return [{ path, message: `is no setting${nearest(name, Object.keys(shape))}` }];
    const mistakes = each === undefined ? [] : settingValue(each, path);
    if (mistakes.length > 0) return mistakes;
    const { error } = shape[name as keyof typeof shape].safeParse(asText({ [name]: each })[name]);
    return (error?.issues ?? []).map(({ message }) => ({ path, message }));
  });
};

const isText = (given: unknown) => typeof given === 'string';

const settingValue = value(
  'text, a number or a list of texts',
  (given) => isText(given) || typeof given === 'number' || (Array.isArray(given) && given.every(isText)),
);

const PIPELINES: Check = (given, at) =>
  Array.isArray(given)
    ? listOf(value('a pipeline, or a function (code) or tool to keep', isServed))(given, at)
    : [wrong(at, 'the path of a module, or a list of pipelines', given)];

const aSet = value('a Set', (given) => given instanceof Set);

const CONFIG = fields({
  pipelines: pathOr('a list of pipelines', PIPELINES),
  models: pathOr('an object of pools', pools),
  connectors: listOf(
    members({ name: value('text', isText), kinds: aSet, capabilities: aSet, connect: aFunction }),
    'name',
  ),
  kinds: listOf(value('a kind made with defineKind', isKindBuilder)),
  doors: listOf(
    members({
      prefix: value(
        'a path such as "/slack" of lower-case letters, digits and dashes',
        (given) => isText(given) && DOOR_PREFIX.test(given as string),
      ),
      routes: aFunction,
    }),
    'prefix',
  ),
  stores: fields({ artifacts: members({ put: aFunction, stat: aFunction, read: aFunction, check: aFunction }) }),
  telemetry: fields({
    logger: members({ child: aFunction, debug: aFunction, info: aFunction, warn: aFunction, error: aFunction }),
  }),
  settings,
} satisfies Record<keyof Config, Check>);
