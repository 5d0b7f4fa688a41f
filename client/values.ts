import type { Artifact } from '../pipelines/artifact.js';

/** Media in a request: a file, its bytes (such as a `Buffer`), or an artifact that the gateway has already. */
export type MediaInput =
  | Blob
  | ArrayBuffer
  | ArrayBufferView
  | { readonly base64: string; readonly mime?: string }
  | { readonly uri: string };

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
  const { files, values } = separated(input);
  for (const [path, file] of files) form.append(path, file, file instanceof File ? file.name : path);
  if (values.length > 0) {
    const json = JSON.stringify(Object.fromEntries(values));
    // A file may be in the field of that name.
    form.append('input', new Blob([json], { type: INPUT_TYPE }));
  }
  return { body: form, headers: {} };
}

/** The files of an input by their paths, and what remains of its fields. */
function separated(input: object) {
  const files: [path: string, file: Blob][] = [];
  const values: [path: string, value: unknown][] = [];
  const add = (path: string, value: unknown): void => {
    if (isFile(value)) files.push([path, blobOf(value)]);
    else values.push([path, withoutFiles(path, value)]);
  };
  const withoutFiles = (path: string, value: unknown): unknown => {
    if (!hasFile(value)) return value;
    if (Array.isArray(value)) {
      if (!value.some(isFile)) return value.map((item, i) => withoutFiles(`${path}.${i}`, item));
      // A list in JSON has no gaps: the items beside its files have paths too, and undefined is null.
      for (const [i, item] of value.entries()) add(`${path}.${i}`, item ?? null);
      return [];
    }
    const rest: [key: string, value: unknown][] = [];
    for (const [key, inner] of Object.entries(value as object)) {
      if (isFile(inner)) files.push([`${path}.${key}`, blobOf(inner)]);
      else rest.push([key, withoutFiles(`${path}.${key}`, inner)]);
    }
    return Object.fromEntries(rest);
  };
  for (const [field, value] of Object.entries(input)) add(field, value);
  return { files, values };
}

function hasFile(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return isFile(value) || Object.values(value).some(hasFile);
}

type FileInput = Blob | ArrayBuffer | ArrayBufferView;

const isFile = (value: unknown): value is FileInput =>
  value instanceof Blob || value instanceof ArrayBuffer || ArrayBuffer.isView(value);

function blobOf(file: FileInput): Blob {
  if (file instanceof Blob) return file;
  if (file instanceof ArrayBuffer) return new Blob([file]);
  return new Blob([new Uint8Array(file.buffer as ArrayBuffer, file.byteOffset, file.byteLength)]);
}
