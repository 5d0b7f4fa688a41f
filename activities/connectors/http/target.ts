import { MillraceError } from '../../../pipelines/errors.js';

type Scalar = string | number | boolean;
export type Scalars = Readonly<Record<string, Scalar>>;
/** Fields of a query; a list is sent as several fields of its name. */
export type Query = Readonly<Record<string, Scalar | readonly Scalar[]>>;

/**
 * The URL of a call: `template` below the base, its `{name}` parts replaced by percent-encoded values, then the query.
 * Throws `INVALID_INPUT` naming a part without a value, or a query field that the template already sets. A value cannot
 * leave its path segment: neither `/` nor `..` passes.
 * @param commas names of lists that are one field, their values separated by commas
 */
export function targetUrl(
  base: string,
  template: string,
  values: Scalars = {},
  query: Query = {},
  commas: readonly string[] = [],
): string {
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
  setQuery(url, query, commas);
  url.hash = '';
  return url.href;
}

/**
 * Sets fields of a URL's query. A space is sent as %20, which every reader takes for one and which signatures are of;
 * URLSearchParams writes "+".
 */
export function setQuery(url: URL, query: Query, commas: readonly string[] = []): void {
  const joined: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    if (!Array.isArray(value)) url.searchParams.set(name, String(value));
    else if (commas.includes(name)) joined.push(...withCommas(name, value));
    else {
      url.searchParams.delete(name);
      for (const each of value) url.searchParams.append(name, String(each));
    }
  }
  // Fields that are set afterwards would encode the commas.
  url.search = [url.search.slice(1), ...joined].filter((part) => part !== '').join('&');
  url.search = url.search.replaceAll('+', '%20');
}

/** A list as one field; no field of an empty one. */
const withCommas = (name: string, values: readonly Scalar[]): readonly string[] =>
  values.length === 0 ? [] : [`${inQuery(name)}=${values.map((each) => inQuery(String(each))).join(',')}`];

/** A text as the query has it. */
const inQuery = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1);

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
