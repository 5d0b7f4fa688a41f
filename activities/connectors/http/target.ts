import { MillraceError } from '../../../pipelines/errors.js';

export type Scalars = Readonly<Record<string, string | number | boolean>>;

/**
 * The URL of a call: `template` below the base, its `{name}` parts filled with percent-encoded values, then the query.
 * Throws `INVALID_INPUT` naming a part that has no value, and a query field that the template has set itself. A value stays
 * in its place: it can neither add a `/` nor climb with `..`.
 */
export function targetUrl(base: string, template: string, values: Scalars = {}, query: Scalars = {}): string {
  const path = template.replace(/\{([^{}]*)\}/g, (_, name: string) => {
    const value = Object.hasOwn(values, name) ? String(values[name]) : '';
    if (value === '') throw badPart(name, `the path ${template} needs a value for {${name}}`);
    // A segment of dots alone means "here" or "above", encoded or not.
    if (/^\.{1,2}$/.test(value)) throw badPart(name, `"${value}" cannot stand in a path`);
    return encoded(name, value);
  });
  const url = new URL(`${base}${path.startsWith('/') ? '' : '/'}${path}`);
  for (const name of Object.keys(query)) {
    if (url.searchParams.has(name)) throw invalid(`query.${name}`, `the path ${template} sets "${name}" itself`);
  }
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  url.hash = '';
  return url.href;
}

function encoded(name: string, value: string): string {
  try {
    return encodeURIComponent(value);
  } catch {
    // Half of a surrogate pair has no UTF-8.
    throw badPart(name, `the value of {${name}} is not Unicode text`);
  }
}

const badPart = (name: string, message: string): MillraceError => invalid(`path.${name}`, message);

const invalid = (field: string, message: string): MillraceError =>
  new MillraceError('INVALID_INPUT', message, { fields: [{ field, message }] });
