import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import type { Exchange } from '../exchange.js';
import { valueAt } from '../json-values.js';
import type { RequestTemplate } from './api.js';
import { boundedJson } from './bounded-json.js';
import type { LoadedFile } from './files.js';
import { hasUser, type Scalars, setQuery, targetUrl } from './target.js';
import { type FileSource, fileOf, type Rendering, render, type Scope, type Template } from './template.js';

/** What the requests of one call have in common. */
export interface Sender {
  /** The endpoint's base URL. */
  readonly base: string;
  /** The endpoint's origins: its own, and the same under its server's name. */
  readonly origins: ReadonlySet<string>;
  /** Headers of every request as templates: the description's. */
  readonly headers: Readonly<Record<string, Template>>;
  /** Headers of every request as they are: the credential, the trace. */
  readonly fixed: Readonly<Record<string, string>>;
  load(source: FileSource, scope: Scope): Promise<LoadedFile>;
}

/** A request by its template. Throws `INVALID_INPUT` naming what the template needs and the call does not have. */
export async function requestBy(template: RequestTemplate, scope: Scope, sender: Sender): Promise<Exchange> {
  const sources = new Map<string, FileSource>();
  build(template, scope, sender, (source) => {
    sources.set(keyOf(source), source);
    return NOTHING;
  });
  if (sources.size === 0) return build(template, scope, sender, () => NOTHING);
  // Files are read before the request is made: templates do not wait.
  const files = new Map<string, LoadedFile>();
  for (const [key, source] of sources) files.set(key, await sender.load(source, scope));
  return build(template, scope, sender, (source) => files.get(keyOf(source)) ?? NOTHING);
}

/** Headers by their templates. */
export const headersBy = (templates: Readonly<Record<string, Template>>, scope: Scope): Record<string, string> =>
  rendered(templates, { scope, wrong: wrongInput, spent: { made: 0 } }, headerText);

const NOTHING: LoadedFile = { bytes: new Uint8Array(), mime: 'application/octet-stream' };
const keyOf = ({ pointer, as, sampleRate }: FileSource): string => `${as} ${sampleRate} ${pointer}`;

function build(
  template: RequestTemplate,
  scope: Scope,
  sender: Sender,
  file: (source: FileSource) => LoadedFile,
): Exchange {
  const { headers, fixed } = sender;
  const r: Rendering = { scope, wrong: wrongInput, file, spent: { made: 0 } };
  const { method = 'POST' } = template;
  const all = { ...rendered({ ...headers, ...template.headers }, r, headerText), ...fixed };
  const { body, type } = bodyBy(template, r);
  return {
    url: urlOf(template, scope, sender, r),
    method,
    headers: {
      accept: 'application/json, text/event-stream;q=0.9, */*;q=0.5',
      ...all,
      ...(type !== undefined && { 'content-type': type }),
    },
    ...(body !== undefined && { body }),
  };
}

function bodyBy(
  { json, form, multipart, bytes, contentType }: RequestTemplate,
  r: Rendering,
): { readonly body?: Exchange['body']; readonly type?: string } {
  if (json !== undefined) return { body: boundedJson(render(json, r) ?? null), type: 'application/json' };
  if (form) {
    const values = new URLSearchParams(rendered(form, r, scalarText));
    return { body: values.toString(), type: 'application/x-www-form-urlencoded' };
  }
  if (multipart) return { body: formData(multipart, r) };
  if (bytes === undefined) return {};
  const file = fileIn(bytes, r);
  if (file) return { body: Uint8Array.from(file.bytes), type: contentType ?? headerText('content-type', file.mime) };
  const value = render(otherwise(bytes), r) ?? '';
  return {
    body: typeof value === 'string' ? value : boundedJson(value),
    type: contentType ?? (typeof value === 'string' ? 'text/plain; charset=utf-8' : 'application/json'),
  };
}

/** `fetch` writes it, with a boundary of its own: no value can end its part. */
function formData(parts: Readonly<Record<string, Template>>, r: Rendering): FormData {
  const data = new FormData();
  for (const [name, part] of Object.entries(parts)) {
    const file = fileIn(part, r);
    if (file) data.append(name, new Blob([Uint8Array.from(file.bytes)], { type: file.mime }), file.name);
    else {
      const value = render(otherwise(part), r);
      if (value !== undefined) data.append(name, typeof value === 'object' ? boundedJson(value) : String(value));
    }
  }
  return data;
}

/** What stands for a file that the input does not have. */
const otherwise = (template: Template): Template =>
  isJsonObject(template) && template.$file !== undefined && template.else !== undefined ? template.else : template;

/** The file of `{ "$file": … }`, with its name; undefined for another template, and without a file if there is an `else`. */
function fileIn(template: Template, r: Rendering): (LoadedFile & { readonly name: string }) | undefined {
  if (!isJsonObject(template) || template.$file === undefined) return undefined;
  if (template.else !== undefined && valueAt(r.scope as JsonObject, String(template.$file)) === undefined)
    return undefined;
  const loaded = fileOf(template.$file, template, r);
  const name = typeof template.name === 'string' ? template.name : `file.${loaded.mime.split('/')[1] ?? 'bin'}`;
  return { ...loaded, name };
}

/** Templates by name, rendered to texts; those that leave themselves out are left out. */
function rendered(
  templates: Readonly<Record<string, Template>> = {},
  r: Rendering,
  asText: (name: string, value: Json) => string,
): Record<string, string> {
  const all = Object.entries(templates).flatMap(([name, template]) => {
    const value = render(template, r);
    return value === undefined ? [] : [[name, asText(name, value)] as const];
  });
  return Object.fromEntries(all);
}

function scalarText(name: string, value: Json): string {
  if (typeof value === 'object') throw wrongInput(name, 'must be a text, a number or a boolean');
  return String(value);
}

function headerText(name: string, value: Json): string {
  const text = scalarText(name, value);
  if (!/^[\x20-\x7e]{0,8192}$/.test(text)) throw wrongInput(name, 'a header is printable ASCII');
  return text;
}

function urlOf({ path, url, query }: RequestTemplate, scope: Scope, sender: Sender, r: Rendering): string {
  const queried = rendered(query, r, scalarText);
  if (url !== undefined) return given(render(url, r), sender, queried);
  const [chosen, values] = pathOf([path ?? '/'].flat(), scope);
  return targetUrl(sender.base, chosen, values, queried);
}

/** The first path whose parts all have a value, or the last. */
function pathOf(paths: readonly string[], scope: Scope): readonly [string, Scalars] {
  for (const [i, path] of paths.entries()) {
    const names = [...path.matchAll(/\{([^{}]*)\}/g)].map(([, name = '']) => name);
    const values = Object.fromEntries(names.flatMap((name) => scalarAt(name, scope)));
    if (i === paths.length - 1 || names.every((name) => Object.hasOwn(values, name))) return [path, values];
  }
  return ['/', {}];
}

/** A part of a path: a pointer, the model, or one of the values. */
function scalarAt(name: string, scope: Scope): readonly (readonly [string, string | number | boolean])[] {
  const pointer = name.startsWith('/') ? name : name === 'model' ? '/model' : `/values/${name}`;
  const value = valueAt(scope as JsonObject, pointer);
  return typeof value === 'object' || value === undefined ? [] : [[name, value]];
}

/** A URL that the server has given. Another origin would get the credential. */
function given(value: Json | undefined, { base, origins }: Sender, query: Readonly<Record<string, string>>): string {
  let url: URL;
  try {
    url = new URL(String(value), `${base}/`);
  } catch {
    throw new MillraceError('INVALID_OUTPUT', 'the server gives no URL for its job');
  }
  if (!origins.has(url.origin)) {
    throw new MillraceError(
      'BACKEND_REJECTED',
      `the server’s job is at ${url.origin}, another origin, which is not followed`,
    );
  }
  if (hasUser(url)) throw new MillraceError('BACKEND_REJECTED', 'the server’s address of its job has a user in it');
  if (Object.keys(query).length > 0) setQuery(url, query);
  return url.href;
}

/** The stage's own fields are named without the template's first name. */
function wrongInput(pointer: string, problem: string): MillraceError {
  const field = pointer
    .replace(/^\/(input|given|values|with)\//, '')
    .replace(/^\//, '')
    .replaceAll('/', '.');
  return new MillraceError('INVALID_INPUT', `${field || 'input'}: ${problem} (the pool’s request needs it)`, {
    fields: [{ field: field || 'input', message: problem }],
  });
}
