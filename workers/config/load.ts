import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import { importModule } from '../../runtime/typescript/index.js';
import { loadPlace } from '../load-place.js';
import { isSet, readSettings, type Settings } from '../settings.js';
import type { Config } from './define.js';
import { type LoadedConfig, NO_CONFIG } from './loaded.js';
import { lineOf } from './source-lines.js';
import { spellPath } from './spell-path.js';

/** The configuration files that are found in the working directory; the first wins. */
const NAMES = ['ts', 'mts', 'js', 'mjs'].map((ending) => `millrace.config.${ending}`);

/** Value of `MILLRACE_CONFIG` for none, even if the working directory has one. */
const NONE = 'none';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The settings of a process: those of the environment, else those of the configuration file. Throws `INVALID_SETTING`
 * with file and line of every mistake in the file.
 * @param named the file that the command line names; default: `MILLRACE_CONFIG`, else the one in the working directory
 */
export async function loadSettings(env: Environment = process.env, named?: string): Promise<Settings> {
  const file = fileOf(named ?? env.MILLRACE_CONFIG, named === undefined ? 'MILLRACE_CONFIG' : 'config');
  const config = file === undefined ? NO_CONFIG : await loadConfig(file);
  // Processes that this one starts must load the same file, and none where this one found none.
  return readSettings({ ...env, MILLRACE_CONFIG: file ?? NONE }, config);
}

/** The settings of a program with a configuration of its own. Throws `INVALID_SETTING`. */
export async function settingsWith(config: Config, env: Environment = process.env): Promise<Settings> {
  const { checkConfig } = await import('./check.js');
  return readSettings(
    { ...env, MILLRACE_CONFIG: NONE },
    checkConfig(config, { at: (at) => spellPath(['config', ...at]) }),
  );
}

function fileOf(named: string | undefined, by: string): string | undefined {
  if (named === NONE) return undefined;
  if (isSet(named)) {
    const file = path.resolve(named);
    if (existsSync(file)) return file;
    throw invalidFields('INVALID_SETTING', [{ field: by, message: `there is no configuration file ${file}` }]);
  }
  return NAMES.map((name) => path.resolve(name)).find((file) => existsSync(file));
}

async function loadConfig(file: string): Promise<LoadedConfig> {
  const name = shown(file);
  const exported = (await imported(file)) as { readonly default?: unknown };
  if (exported.default === undefined)
    throw invalidFields('INVALID_SETTING', [
      { field: name, message: 'has no default export: write "export default defineConfig({ … })"' },
    ]);
  const text = readFileSync(file, 'utf8');
  const { checkConfig } = await import('./check.js');
  return checkConfig(exported.default, {
    file,
    at: (at) => {
      const line = lineOf(text, at);
      return `${name}${line === undefined ? '' : `:${line}`}${at.length > 0 ? ` ${spellPath(at)}` : ''}`;
    },
  });
}

async function imported(file: string): Promise<object> {
  try {
    return await importModule(file);
  } catch (error) {
    const field = (await loadPlace(error, file)) ?? shown(file);
    const { code, details } =
      error instanceof MillraceError ? error : { code: 'INVALID_SETTING' as const, details: {} };
    const message = `cannot be loaded: ${messageOf(error)}`;
    throw new MillraceError(
      code,
      `${field}: ${message}`,
      { fields: [{ field, message }], ...details },
      { cause: error },
    );
  }
}

/** A file as a person finds it: relative to the working directory if it is in it. */
function shown(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative.startsWith('..') ? file : relative;
}
