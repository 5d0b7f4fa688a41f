import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

/** What the expectations of blocks that call models are made of: no test knows what a model will say. */
export const SHAPES = {
  text: expect.any(String) as unknown,
  number: expect.any(Number) as unknown,
  boolean: expect.any(Boolean) as unknown,
  list: expect.any(Array) as unknown,
  object: expect.any(Object) as unknown,
  image: expect.objectContaining({ mime: expect.stringMatching(/^image\//) as unknown }) as unknown,
  audio: expect.objectContaining({ mime: 'audio/wav', durationMs: expect.any(Number) as unknown }) as unknown,
};

/** A block of a page in docs/reference/dsl/: a module, what people decide in its run, and its runs. */
export interface Example {
  /** The headings above it and its number among them: `Control flow / when 1`. */
  readonly name: string;
  /** The heading right above it. */
  readonly heading: string;
  readonly source: string;
  readonly decisions: readonly string[];
  readonly runs: readonly { readonly call: string; readonly expected: string }[];
}

const FOLDER = fileURLToPath(new URL('../../docs/reference/dsl/', import.meta.url));

/** The reference of the language, all of its pages. */
const reference = () =>
  readdirSync(FOLDER)
    .map((name) => readFileSync(FOLDER + name, 'utf8'))
    .join('\n');

/** Every block of TypeScript in a text. */
export function examples(text = reference()): Example[] {
  const found: Example[] = [];
  let heading = '';
  for (const [, title, source] of text.matchAll(/^#+ (.+)$|```ts\n([\s\S]*?)\n```/gm)) {
    if (title !== undefined) heading = title;
    if (source === undefined) continue;
    const number = found.filter((each) => each.heading === heading).length + 1;
    found.push({
      name: `${heading} ${number}`,
      heading,
      source,
      decisions: [...source.matchAll(/^\/\/ decide(\(.*\))$/gm)].map(([, args = '']) => args),
      runs: [...source.matchAll(/^\/\/ run(\(.*\)) → (.*)$/gm)].map(([, call = '', expected = '']) => ({
        call,
        expected,
      })),
    });
  }
  return found;
}

/** The values of a call's arguments, or of an expectation, in which `names` stand for values. */
export function valuesOf(text: string, names: Readonly<Record<string, unknown>> = {}): unknown[] {
  const list = text.startsWith('(') ? `[${text.slice(1, -1)}]` : `[${text}]`;
  return new Function(...Object.keys(names), `return ${list}`)(...Object.values(names)) as unknown[];
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const { exports } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as {
  exports: Readonly<Record<string, { readonly types?: string }>>;
};

/** The source file of an entry of the package, `millrace/client`. */
function sourceOf(specifier: string): string {
  const types = exports[specifier.replace('millrace', '.')]?.types;
  if (types === undefined) throw new Error(`the package has no entry "${specifier}"`);
  return types.replace('./dist/', ROOT).replace(/\.d\.ts$/, '.ts');
}

/** The block as a file of this repository would be: it imports the sources in place of the package. */
export const asModule = ({ source }: Pick<Example, 'source'>): string =>
  source.replaceAll(/'(millrace(?:\/[\w-]+)?)'/g, (_, specifier: string) => `'${sourceOf(specifier)}'`);
