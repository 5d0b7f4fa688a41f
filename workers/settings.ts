import path from 'node:path';
import { z } from 'zod';
import { closest } from '../pipelines/did-you-mean.js';
import { invalidSettings } from '../pipelines/invalid-setting.js';
import { withProfile } from '../temporal/profile.js';
import { type LoadedConfig, NO_CONFIG } from './config/loaded.js';
import { ACCESS_SETTINGS } from './settings/access.js';
import { BASE_PORT } from './settings/fields.js';
import { FILE_SETTINGS } from './settings/files.js';
import { LIMIT_SETTINGS } from './settings/limits.js';
import { portSettings } from './settings/ports.js';
import { SERVER_SETTINGS } from './settings/servers.js';
import { withoutServiceLinks } from './settings/service-links.js';
import { STACK_SETTINGS } from './settings/stack.js';
import { WEBHOOK_SETTINGS } from './settings/webhooks.js';
import { WORKER_SETTINGS } from './settings/worker.js';

/**
 * Every setting of every Millrace process: name, meaning, default and the reason for the default. This file is the only
 * reader of the environment, except that Temporal’s SDK, which reads profiles, gets the environment from here.
 */
export function settingsSchema(basePort = BASE_PORT) {
  return z.object({
    ...FILE_SETTINGS,
    ...SERVER_SETTINGS,
    ...portSettings(basePort),
    ...ACCESS_SETTINGS,
    ...STACK_SETTINGS,
    ...LIMIT_SETTINGS,
    ...WEBHOOK_SETTINGS,
    ...WORKER_SETTINGS,
  });
}

type Schema = ReturnType<typeof settingsSchema>;

/** The name of a setting, which is that of its variable. */
export type SettingName = keyof z.input<Schema>;

export type Settings = z.output<Schema> & {
  readonly MILLRACE_VENV: string;
  /** What the configuration file adds that is no variable. */
  readonly config: LoadedConfig;
};

/**
 * Reads and validates the settings; variables take precedence over a configuration, and a blank value counts as unset. Folders become absolute, and the values of a Temporal profile are returned as the
 * equivalent variables, so that a process that gets the settings as its environment does not read the profile again.
 * Throws `INVALID_SETTING` with every invalid variable.
 */
export function readSettings(
  env: Readonly<Record<string, string | undefined>> = process.env,
  config: LoadedConfig = NO_CONFIG,
): Settings {
  const given = { ...onlySet(config.settings), ...onlySet(withoutServiceLinks(env)) };
  const base = Number(given.MILLRACE_PORT_BASE ?? BASE_PORT);
  const parsed = settingsSchema(Number.isInteger(base) ? base : BASE_PORT).safeParse(given);
  if (!parsed.success) {
    const fields = parsed.error.issues.map((issue) => ({ field: issue.path.join('.'), message: issue.message }));
    throw invalidSettings(fields);
  }
  const home = path.resolve(parsed.data.MILLRACE_HOME);
  const temporal = withProfile(given);
  const allFromOne = given.MILLRACE_MAX_CONNECTIONS_PER_ADDRESS === undefined && isBehindProxy(parsed.data);
  return {
    ...parsed.data,
    ...(allFromOne && { MILLRACE_MAX_CONNECTIONS_PER_ADDRESS: parsed.data.MILLRACE_MAX_CONNECTIONS }),
    ...temporal,
    TEMPORAL_NAMESPACE: temporal.TEMPORAL_NAMESPACE ?? parsed.data.TEMPORAL_NAMESPACE,
    TEMPORAL_CONFIG_FILE: undefined,
    TEMPORAL_PROFILE: undefined,
    config,
    MILLRACE_HOME: home,
    MILLRACE_VENV: path.resolve(parsed.data.MILLRACE_VENV ?? path.join(home, 'venv')),
  };
}

/** Whether a variable has a value: blanks are none, which as a number would be 0. */
export const isSet = (value: string | undefined): value is string => value !== undefined && value.trim() !== '';

const onlySet = (env: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => isSet(entry[1])));

/** Whether all connections come from a proxy's address. Without one the gateway speaks no TLS. */
const isBehindProxy = ({
  MILLRACE_PROXY_AUTHENTICATES: authenticates,
  MILLRACE_PUBLIC_URL: url = '',
}: z.output<Schema>): boolean => authenticates === 'yes' || /^https:/i.test(url);

/** Names of variables that pages for clients once used, which resemble those of other settings. */
const FORMER: ReadonlyMap<string, SettingName> = new Map([
  ['MILLRACE_KEY', 'MILLRACE_API_KEY'],
  ['MILLRACE_URL', 'MILLRACE_GATEWAY_URL'],
]);

/**
 * Variables whose name starts with `MILLRACE_` and that are not settings. `meant`: the setting with that name minus the
 * prefix, or with a similar name, if there is one.
 * @param others variables that are not settings but permitted
 */
export function unknownSettings(
  env: Readonly<Record<string, string | undefined>>,
  others: readonly string[] = [],
): readonly { readonly name: string; readonly meant?: string }[] {
  const known = new Set([...Object.keys(settingsSchema().shape), ...others]);
  return Object.keys(env)
    .filter((name) => name.startsWith('MILLRACE_') && !known.has(name))
    .map((name) => {
      const bare = name.slice('MILLRACE_'.length);
      const meant = known.has(bare) ? bare : (FORMER.get(name) ?? closest(name, known));
      return meant === undefined ? { name } : { name, meant };
    });
}
