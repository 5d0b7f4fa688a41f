import { existsSync, readFileSync } from 'node:fs';
import { discover } from '../activities/connectors/discover/index.js';
import { connectorOf, parseModels } from '../activities/pools/index.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import type { JsonObject } from '../pipelines/json.js';
import { writeJson } from '../runtime/json-file.js';
import { withoutMark } from '../runtime/without-mark.js';
import { connectorsOf } from '../workers/connectors.js';
import type { Settings } from '../workers/settings.js';
import { EXIT, note, printJson, show } from './output.js';
import { wrongOption } from './place-files.js';

export interface DiscoverCommandOptions {
  readonly model: readonly string[];
  readonly keyEnv?: string;
  readonly device: string;
  readonly write?: string;
  readonly json?: boolean;
}

/** For all questions together. */
const ALL_MS = 60_000;

/** `millrace models discover`: what serves at a URL, as pools of the models file. */
export async function discoverModels(settings: Settings, url: string, options: DiscoverCommandOptions): Promise<void> {
  const { model, keyEnv, device, write } = options;
  const key = keyEnv === undefined ? undefined : process.env[keyEnv]?.trim();
  if (keyEnv !== undefined && !key) throw wrongOption('--key-env', `the environment has no ${keyEnv}`);
  const signal = AbortSignal.timeout(ALL_MS);
  const found = await discover(url, { models: model, device, signal, ...(key && { key }) });
  if (!found) {
    note(
      `${url} answers, but not as any server that is known: describe it in the models file (docs/reference/servers/http.md)`,
    );
    process.exitCode = EXIT.failed;
    return;
  }
  const pools = Object.fromEntries(
    Object.entries(found.pools).map(([name, pool]) => [
      name,
      keyEnv === undefined ? pool : { ...pool, apiKey: { env: keyEnv } },
    ]),
  );
  const connectors = connectorsOf(settings);
  for (const [name, pool] of Object.entries(parseModels(pools, 'discovered'))) connectorOf(name, pool, connectors);
  if (write !== undefined) add(write, pools);
  if (options.json) return printJson({ url, ...found, pools });
  show(`${url} is ${found.server}`);
  if (write === undefined) printJson(pools, 2);
  for (const each of found.notes) note(`note: ${each}`);
}

/** Adds pools to a models file. Those that it has are not changed. */
function add(file: string, pools: Readonly<Record<string, JsonObject>>): void {
  const before = existsSync(file) ? parsed(file) : {};
  const added = Object.entries(pools).filter(([name]) => !Object.hasOwn(before, name));
  const after = { ...before, ...Object.fromEntries(added) };
  parseModels(after, file);
  if (added.length > 0) writeJson(file, after);
  const kept = Object.keys(pools).filter((name) => Object.hasOwn(before, name));
  show(`${file}: added ${added.map(([name]) => name).join(', ') || 'nothing'}`);
  if (kept.length > 0) note(`note: ${file} has ${kept.join(', ')} already: unchanged`);
}

function parsed(file: string): Record<string, JsonObject> {
  try {
    return JSON.parse(withoutMark(readFileSync(file, 'utf8'))) as Record<string, JsonObject>;
  } catch (error) {
    throw new MillraceError('INVALID_SETTING', `cannot read ${file}: ${messageOf(error)}`);
  }
}
