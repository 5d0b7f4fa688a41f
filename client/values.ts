import type { Artifact } from '../pipelines/artifact.js';

/** Media in a request: a file, or an artifact that the gateway has already. */
export type MediaInput = Blob | { readonly base64: string; readonly mime?: string } | { readonly uri: string };

/** A pipeline's input in a request: media as `MediaInput`. */
export type Sent<T> = T extends Artifact
  ? MediaInput
  : T extends readonly (infer Item)[]
    ? readonly Sent<Item>[]
    : T extends object
      ? { readonly [Key in keyof T]: Sent<T[Key]> }
      : T;

/** An artifact of a run, with the path of its bytes. */
export type ServedArtifact = Artifact & { readonly href: string };

/** A pipeline's output in a response: media as `ServedArtifact`. */
export type Received<T> = T extends Artifact
  ? ServedArtifact
  : T extends readonly (infer Item)[]
    ? readonly Received<Item>[]
    : T extends object
      ? { readonly [Key in keyof T]: Received<T[Key]> }
      : T;

/** Type of the part `input` with what is not in parts of its own: a pipeline may have a field of that name. */
const INPUT_TYPE = 'application/vnd.millrace.input+json';

/** The body of a start: JSON, or a form if the input has files. */
export function bodyOf(input: object): { readonly body: string | FormData; readonly headers: Record<string, string> } {
  if (!hasFile(input)) return { body: JSON.stringify(input), headers: { 'content-type': 'application/json' } };
  const form = new FormData();
  const plain: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(input)) {
    if (hasFile(value)) addParts(form, field, value);
    else plain[field] = value;
  }
  // A file may be in the field of that name.
  if (Object.keys(plain).length > 0) form.append('input', new Blob([JSON.stringify(plain)], { type: INPUT_TYPE }));
  return { body: form, headers: {} };
}

/** Adds values with files part by part, each under its path. */
function addParts(form: FormData, path: string, value: unknown): void {
  if (value instanceof Blob) form.set(path, value, value instanceof File ? value.name : path);
  else if (hasFile(value))
    for (const [key, inner] of Object.entries(value as object)) addParts(form, `${path}.${key}`, inner);
  else if (isReference(value)) form.set(path, value.uri);
  else if (value !== undefined) form.set(path, typeof value === 'string' ? value : JSON.stringify(value));
}

function hasFile(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return value instanceof Blob || Object.values(value).some(hasFile);
}

const isReference = (value: unknown): value is { uri: string } =>
  typeof (value as { uri?: unknown } | null)?.uri === 'string';
