import { exampleOf } from '../gateway/openapi/example.js';
import type { Pipeline } from '../pipelines/definition/index.js';
import { isJsonObject, type Json } from '../pipelines/json.js';
import { isMediaKind, type MediaKind } from '../pipelines/media.js';
import { properties } from './run-input.js';

/** A command that runs one of the pipelines: if possible one that needs no file. */
export function nextCommand(pipelines: readonly Runnable[]): string | undefined {
  const all = pipelines.map(runCommand);
  return all.find((command) => !command.includes(' --file ')) ?? all[0];
}

type Runnable = Pick<Pipeline, 'name' | 'inputSchema'>;

/** A command that runs a pipeline, with a value or a file for each field that it requires. */
function runCommand({ name, inputSchema }: Runnable): string {
  const schema = isJsonObject(inputSchema) ? inputSchema : {};
  const required = (schema.required ?? []) as readonly string[];
  const fields = Object.entries(properties(schema)).filter(([, of]) => !hasDefault(of));
  const needed = fields.filter(([field]) => required.includes(field));
  // Inputs without required fields usually need one of them.
  const wanted = needed.length > 0 ? needed : fields.filter(([, of]) => exampleOf(of) !== undefined).slice(0, 1);
  const files = wanted.flatMap(([field, of]) => (mediaOf(of) === undefined ? [] : [`--file ${field}=${fileFor(of)}`]));
  const values = wanted.filter(([, of]) => mediaOf(of) === undefined).map(([field, of]) => [field, valueFor(of)]);
  const input = values.length > 0 ? [`--input '${quoted(JSON.stringify(Object.fromEntries(values)))}'`] : [];
  return ['millrace run', name, ...input, ...files].join(' ');
}

const hasDefault = (schema: Json): boolean => isJsonObject(schema) && 'default' in schema;
const mediaOf = (schema: Json): MediaKind | undefined =>
  isJsonObject(schema) && isMediaKind(schema.media) ? schema.media : undefined;
const FILES: Readonly<Record<MediaKind, string>> = {
  audio: 'speech.wav',
  image: 'picture.png',
  video: 'clip.mp4',
  file: 'document.pdf',
};
const fileFor = (schema: Json): string => FILES[mediaOf(schema) ?? 'file'];
/** A value that is valid where one can be told from the schema. */
const valueFor = (schema: Json): Json => exampleOf(schema) ?? '…';
/** Within single quotes of a shell. */
const quoted = (json: string): string => json.replaceAll("'", `'\\''`);
