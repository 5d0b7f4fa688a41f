import { type Artifact, isArtifact } from '../pipelines/artifact.js';
import { isJsonObject, type Json, type JsonObject } from '../pipelines/json.js';

import type { RunDocument } from '../pipelines/run/document.js';
import { wellFormed } from '../pipelines/well-formed.js';

export type { RunDocument, RunError, RunStatus } from '../pipelines/run/document.js';

/** Prefix of the names of a run's input media; names without it are those of the output. */
const INPUT_PREFIX = 'input.';

export const runPath = (id: string): string => `/v1/runs/${encodeURIComponent(id)}`;

/** Adds `href`, the path of its bytes, to every artifact in a run's input or output. */
export const withHrefs = (value: JsonObject, runId: string, of: 'input' | 'output'): JsonObject =>
  addHrefs(value, `${runPath(runId)}/artifacts`, of === 'input' ? INPUT_PREFIX : '') as JsonObject;

function addHrefs(value: Json, base: string, name: string): Json {
  if (Array.isArray(value)) return value.map((item: Json, i) => addHrefs(item, base, joined(name, String(i))));
  if (!isJsonObject(value)) return value;
  if (isArtifact(value))
    return { ...(value as unknown as JsonObject), href: `${base}/${encodeURIComponent(wellFormed(name))}` };
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, addHrefs(inner, base, joined(name, key))]),
  );
}

const joined = (prefix: string, key: string): string =>
  prefix === '' || prefix === INPUT_PREFIX ? `${prefix}${key}` : `${prefix}.${key}`;

const shownOf = new WeakMap<RunDocument, RunDocument>();

/**
 * The document for those who may not know the author's sources: end users of a door, receivers of webhooks. The same one each time, so that all who
 * follow a run have one.
 */
export function withoutPlace(document: RunDocument): RunDocument {
  if (document.error?.at === undefined) return document;
  const known = shownOf.get(document);
  if (known) return known;
  const { at: _, ...error } = document.error;
  const shown: RunDocument = { ...document, error };
  shownOf.set(document, shown);
  return shown;
}

/** Finds a run's artifact by name: `speech`, `parts.0`, `input.speech`. */
export function artifactNamed(name: string, run: { input?: JsonObject; output?: JsonObject }): Artifact | undefined {
  const inInput = name.startsWith(INPUT_PREFIX) ? at(run.input, name.slice(INPUT_PREFIX.length)) : undefined;
  const found = inInput ?? at(run.output, name);
  return isArtifact(found) ? found : undefined;
}

function at(value: Json | undefined, path: string): Json | undefined {
  let here = value;
  for (const key of path.split('.')) {
    if (Array.isArray(here)) here = here[Number(key)];
    else if (isJsonObject(here as Json) && Object.hasOwn(here as JsonObject, key)) here = (here as JsonObject)[key];
    else return undefined;
  }
  return here;
}
