import { MillraceError } from '../../../pipelines/errors.js';

export type Scalars = Readonly<Record<string, string | number | boolean>>;

/**
 * The URL of a call: `template` below the base, its `{name}` parts replaced by percent-encoded values, then the query.
 * Throws `INVALID_INPUT` naming a part without a value, or a query field that the template already sets. A value cannot
 * leave its path segment: neither `/` nor `..` passes.
 */
export function targetUrl(base: string, template: string, values: Scalars = {}, query: Scalars = {}): string {
  const path = template.replace(/\{([^{}]*)\}/g, (_, name: string) => {
    const value = Object.hasOwn(values, name) ? String(values[name]) : '';
    if (value === '') throw badPart(name, `the path ${template} needs a value for {${name}}`);
    // A segment of only dots means "here" or "above", encoded or not.
    if (/^\.{1,2}$/.test(value)) throw badPart(name, `"${value}" is not allowed in a path`);
    return encoded(name, value);
  });
  const url = new URL(`${base}${path.startsWith('/') ? '' : '/'}${path}`);
  for (const name of Object.keys(query)) {
    if (url.searchParams.has(name)) throw invalid(`query.${name}`, `the path ${template} sets "${name}" itself`);
  }
  setQuery(url, query);
  url.hash = '';
  return url.href;
}

/**
 * Sets fields of a URL's query. A space is sent as %20, which every reader takes for one and which signatures are of;
 * URLSearchParams writes "+".
 */
export function setQuery(url: URL, query: Scalars): void {
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  url.search = url.search.replaceAll('+', '%20');
}

/** Whether a URL has a user or a password, which `fetch` refuses. */
export const hasUser = ({ username, password }: URL): boolean => username !== '' || password !== '';

function encoded(name: string, value: string): string {
  try {
    return encodeURIComponent(value);
  } catch {
    // A lone surrogate cannot be encoded as UTF-8.
    throw badPart(name, `the value of {${name}} is not Unicode text`);
  }
}

const badPart = (name: string, message: string): MillraceError => invalid(`path.${name}`, message);

const invalid = (field: string, message: string): MillraceError =>
  new MillraceError('INVALID_INPUT', message, { fields: [{ field, message }] });
