import { isMap, isPair, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { z } from 'zod';
import { type ErrorCode, type FieldError, messageOf } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';

export type Path = readonly (string | number)[];

/** A value read from a file, with the position of each of its parts. */
export interface Located<T> {
  readonly value: T;
  /** The file's name, as given. */
  readonly file: string;
  /** `cluster.yaml:12 nodes[0].devices[1].memory`; the line of the nearest enclosing part that is written. */
  at(path: Path): string;
}

/** Characters of a file that Millrace has made, such as a schedule of a week on hundreds of devices. */
export const MOST_MADE = 64 * 2 ** 20;
/** Characters of a file that people write: a parser takes seconds for these. */
const MOST_WRITTEN = 4 * 2 ** 20;

/**
 * Parses YAML, or JSON, which is YAML too, and checks it against a schema. Every mistake is reported with its line: a
 * failure with `code` has fields such as `cluster.yaml:12 nodes[0].devices[1].memory`.
 *
 * @param most characters of the file; a longer one is refused before it is parsed
 */
export function readLocated<S extends z.ZodType>(
  text: string,
  file: string,
  schema: S,
  code: ErrorCode,
  most = MOST_WRITTEN,
): Located<z.output<S>> {
  if (text.length > most) {
    const message = `the file has ${text.length} characters: at most ${most}; split it, or leave out what is not needed`;
    throw invalidFields(code, [{ field: file, message }]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  if (document.errors.length > 0) {
    throw invalidFields(
      code,
      document.errors.map(({ pos, message }) => ({ field: `${file}:${lines.linePos(pos[0]).line}`, message })),
    );
  }
  const at = (path: Path): string => {
    const line = lines.linePos(offsetOf(document.contents, path)).line;
    return `${file}:${line}${path.length > 0 ? ` ${spellPath(path)}` : ''}`;
  };
  const contents = contentsOf(document, file, code);
  if (contents === null || contents === undefined) {
    throw invalidFields(code, [
      { field: file, message: 'the file is empty: write it as docs/reference/placement.md describes' },
    ]);
  }
  return checked(contents, { file, at }, schema, code);
}

/**
 * Checks a value that is in no file, such as one that was made from another format. Mistakes are named by `of` in place of a file and line.
 */
export function locate<S extends z.ZodType>(
  value: unknown,
  of: string,
  schema: S,
  code: ErrorCode,
): Located<z.output<S>> {
  const at = (path: Path) => (path.length > 0 ? `${of} ${spellPath(path)}` : of);
  return checked(value, { file: of, at }, schema, code);
}

function checked<S extends z.ZodType>(
  value: unknown,
  place: Pick<Located<unknown>, 'file' | 'at'>,
  schema: S,
  code: ErrorCode,
): Located<z.output<S>> {
  const { success, data, error } = schema.safeParse(value);
  if (!success)
    throw invalidFields(
      code,
      error.issues.flatMap((issue) => mistakesOf(issue, place.at)),
    );
  return { value: data, ...place };
}

/** Throws the error of a file whose aliases unfold to many times its size. */
function contentsOf(document: ReturnType<typeof parseDocument>, file: string, code: ErrorCode): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw invalidFields(code, [{ field: file, message: messageOf(error) }]);
  }
}

function mistakesOf(issue: z.core.$ZodIssue, at: (path: Path) => string): FieldError[] {
  const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ field: at([...path, key]), message: 'no such field: remove or correct it' }));
  }
  // For a union the schema has its own message; zod's names no alternative.
  return [{ field: at(path), message: issue.message }];
}

const spellPath = (path: Path): string =>
  path.map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`)).join('');

/** Start of the last existing part of the path: the key of a member, so that the line is the member's own. */
function offsetOf(root: Node | null, path: Path): number {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(key) === String(part));
      if (!isPair(pair)) return offset;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof part === 'number' && part < node.items.length) {
      node = node.items[part];
      offset = (node as Node | null)?.range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}
